//! JPEG, PNG and WebP: size, depth, colours, animation.

use super::bytes::{Broken, Bytes, broken};

/// A still picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bits of one channel of one pixel.
    pub bits_per_channel: u8,
    /// How colours are written.
    pub colours: Colours,
}

/// How colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// Grey.
    Grey,
    /// Grey with transparency.
    GreyAlpha,
    /// Red, green and blue (or their JPEG equivalent).
    Rgb,
    /// The same with transparency.
    Rgba,
    /// Numbers of colours in a palette.
    Palette,
    /// Inks, as for print.
    Cmyk,
}

/// A WebP picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebP {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Whether it moves.
    pub animated: bool,
}

pub(super) fn is_jpeg(file: &[u8]) -> bool {
    file.starts_with(&[0xff, 0xd8, 0xff])
}

pub(super) fn is_png(file: &[u8]) -> bool {
    file.starts_with(b"\x89PNG\r\n\x1a\n")
}

pub(super) fn is_webp(file: &[u8]) -> bool {
    file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP")
}

/// Reads the header of a JPEG (ITU T.81) and looks for its picture and its end.
pub(super) fn read_jpeg(file: &[u8]) -> Result<Picture, Broken> {
    const WHAT: &str = "a JPEG segment is cut off";
    let bytes = Bytes(file);
    let mut at = 2;
    let mut picture = None;
    loop {
        if bytes.u8(at, WHAT)? != 0xff {
            return Err(broken("a JPEG segment does not begin as one"));
        }
        let marker = bytes.u8(at + 1, WHAT)?;
        match marker {
            // Fill bytes before a marker.
            0xff => {
                at += 1;
                continue;
            }
            0xd9 => return Err(broken("a JPEG file without a picture")),
            0x01 | 0xd0..=0xd7 => {
                at += 2;
                continue;
            }
            _ => {}
        }
        let length = usize::from(bytes.be16(at + 2, WHAT)?);
        let segment = Bytes(bytes.slice(at + 2, length, WHAT)?);
        match marker {
            // Start of frame, of any process; C4, C8 and CC are something else.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => picture = Some(jpeg_frame(segment)?),
            0xda => break,
            _ => {}
        }
        at += 2 + length;
    }
    let picture = picture.ok_or(broken("a JPEG file whose picture has no size"))?;
    if !file[at..].windows(2).any(|pair| pair == [0xff, 0xd9]) {
        return Err(broken("a JPEG file without its end"));
    }
    Ok(picture)
}

fn jpeg_frame(segment: Bytes<'_>) -> Result<Picture, Broken> {
    const WHAT: &str = "a JPEG frame is cut off";
    Ok(Picture {
        bits_per_channel: segment.u8(2, WHAT)?,
        height: u32::from(segment.be16(3, WHAT)?),
        width: u32::from(segment.be16(5, WHAT)?),
        colours: match segment.u8(7, WHAT)? {
            1 => Colours::Grey,
            3 => Colours::Rgb,
            4 => Colours::Cmyk,
            _ => return Err(broken("a JPEG frame with an unheard-of number of channels")),
        },
    })
}

/// Reads the header of a PNG (ISO/IEC 15948) and walks its chunks to the end.
pub(super) fn read_png(file: &[u8]) -> Result<Picture, Broken> {
    const WHAT: &str = "a PNG chunk is cut off";
    let bytes = Bytes(file);
    if &bytes.tag(12, WHAT)? != b"IHDR" {
        return Err(broken("a PNG file that does not begin with its header"));
    }
    let picture = Picture {
        width: bytes.be32(16, WHAT)?,
        height: bytes.be32(20, WHAT)?,
        bits_per_channel: bytes.u8(24, WHAT)?,
        colours: match bytes.u8(25, WHAT)? {
            0 => Colours::Grey,
            2 => Colours::Rgb,
            3 => Colours::Palette,
            4 => Colours::GreyAlpha,
            6 => Colours::Rgba,
            _ => return Err(broken("a PNG file with unheard-of colours")),
        },
    };
    let (mut at, mut data_seen) = (8, false);
    loop {
        let length = bytes.be32(at, WHAT)? as usize;
        let kind = bytes.tag(at + 4, WHAT)?;
        // Length, kind and check sum around the data.
        bytes.slice(at + 8, length.saturating_add(4), WHAT)?;
        match &kind {
            b"IDAT" => data_seen = true,
            b"IEND" if data_seen => return Ok(picture),
            b"IEND" => return Err(broken("a PNG file without a picture")),
            _ => {}
        }
        at += 12 + length;
    }
}

/// Reads a WebP (RFC 9649): the container, the canvas, and whether it moves.
pub(super) fn read_webp(file: &[u8]) -> Result<WebP, Broken> {
    const WHAT: &str = "a WebP chunk is cut off";
    let bytes = Bytes(file);
    let size = bytes.le32(4, WHAT)? as usize;
    if size.saturating_add(8) > file.len() {
        return Err(broken("a WebP file that is cut off"));
    }
    let body = bytes.from(20, WHAT)?;
    let length = bytes.le32(16, WHAT)? as usize;
    body.slice(0, length, WHAT)?;
    match &bytes.tag(12, WHAT)? {
        b"VP8X" => {
            let animated = body.u8(0, WHAT)? & 0x02 != 0;
            Ok(WebP {
                width: body.le24(4, WHAT)? + 1,
                height: body.le24(7, WHAT)? + 1,
                animated,
            })
        }
        b"VP8 " => {
            if body.slice(3, 3, WHAT)? != [0x9d, 0x01, 0x2a] {
                return Err(broken("a WebP picture that does not begin as one"));
            }
            Ok(WebP {
                width: u32::from(body.le16(6, WHAT)? & 0x3fff),
                height: u32::from(body.le16(8, WHAT)? & 0x3fff),
                animated: false,
            })
        }
        b"VP8L" => {
            if body.u8(0, WHAT)? != 0x2f {
                return Err(broken("a lossless WebP picture that does not begin as one"));
            }
            let bits = body.le32(1, WHAT)?;
            Ok(WebP {
                width: (bits & 0x3fff) + 1,
                height: (bits >> 14 & 0x3fff) + 1,
                animated: false,
            })
        }
        _ => Err(broken("a WebP file whose first chunk is not a picture")),
    }
}
