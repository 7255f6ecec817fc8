//! Sound outside MP4: OGG (RFC 3533, RFC 7845), MP3, AAC in ADTS, AMR (RFC 4867).

use super::bytes::{Broken, Bytes, broken};

/// A file of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// What it is.
    pub format: SoundFormat,
    /// How many channels; absent where the file does not say.
    pub channels: Option<u8>,
}

/// What a file of sound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundFormat {
    /// OGG with OPUS: the only OGG that WhatsApp takes.
    OggOpus,
    /// OGG with something else.
    OggOther,
    /// MP3.
    Mp3,
    /// AAC by itself.
    Aac,
    /// AMR narrow band.
    Amr,
    /// AMR wide band.
    AmrWideBand,
}

pub(super) fn is_ogg(file: &[u8]) -> bool {
    file.starts_with(b"OggS")
}

/// Walks all pages of an OGG file: each must be whole and say the truth about itself.
pub(super) fn read_ogg(file: &[u8]) -> Result<Sound, Broken> {
    const WHAT: &str = "an OGG page is cut off";
    let mut rest = Bytes(file);
    let mut first: Option<(u32, Sound)> = None;
    let mut ended = false;
    while !rest.0.is_empty() {
        if &rest.tag(0, WHAT)? != b"OggS" || rest.u8(4, WHAT)? != 0 {
            return Err(broken("an OGG page does not begin as one"));
        }
        let (flags, serial) = (rest.u8(5, WHAT)?, rest.le32(14, WHAT)?);
        let segments = usize::from(rest.u8(26, WHAT)?);
        let length: usize = rest
            .slice(27, segments, WHAT)?
            .iter()
            .map(|length| usize::from(*length))
            .sum();
        let page = rest.slice(0, 27 + segments + length, WHAT)?;
        if checksum(page) != rest.le32(22, WHAT)? {
            return Err(broken("an OGG page whose check sum is wrong"));
        }
        let payload = Bytes(&page[27 + segments..]);
        match first {
            None => first = Some((serial, ogg_stream(payload)?)),
            Some((known, _)) if known != serial => return Err(broken("an OGG file with more than one stream")),
            Some(_) => {}
        }
        ended = flags & 0x04 != 0;
        rest = rest.from(page.len(), WHAT)?;
    }
    let (_, sound) = first.ok_or(broken("an OGG file without a page"))?;
    if !ended {
        return Err(broken("an OGG file without its last page"));
    }
    Ok(sound)
}

fn ogg_stream(payload: Bytes<'_>) -> Result<Sound, Broken> {
    if !payload.0.starts_with(b"OpusHead") {
        let (format, channels) = (SoundFormat::OggOther, None);
        return Ok(Sound { format, channels });
    }
    let channels = payload.u8(9, "an OPUS header is cut off")?;
    if channels == 0 {
        return Err(broken("an OPUS header without channels"));
    }
    Ok(Sound {
        format: SoundFormat::OggOpus,
        channels: Some(channels),
    })
}

/// OGG's check sum: the polynomial 04c11db7 from the highest bit, over the page with zeros in the sum's own place.
pub(super) fn checksum(page: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut value, mut bit) = ((index as u32) << 24, 0);
            while bit < 8 {
                value = if value & 0x8000_0000 == 0 {
                    value << 1
                } else {
                    value << 1 ^ 0x04c1_1db7
                };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    page.iter().enumerate().fold(0, |sum, (at, byte)| {
        let byte = if (22..26).contains(&at) { 0 } else { *byte };
        sum << 8 ^ TABLE[(sum >> 24 ^ u32::from(byte)) as usize]
    })
}

pub(super) fn is_amr(file: &[u8]) -> bool {
    file.starts_with(b"#!AMR")
}

pub(super) fn read_amr(file: &[u8]) -> Result<Sound, Broken> {
    let (format, magic): (_, &[u8]) = if file.starts_with(b"#!AMR-WB\n") {
        (SoundFormat::AmrWideBand, b"#!AMR-WB\n")
    } else if file.starts_with(b"#!AMR\n") {
        (SoundFormat::Amr, b"#!AMR\n")
    } else {
        return Err(broken("an AMR file of a kind nobody knows"));
    };
    if file.len() == magic.len() {
        return Err(broken("an AMR file without sound"));
    }
    Ok(Sound {
        format,
        channels: Some(1),
    })
}

/// AAC in ADTS frames: twelve set bits, and the two bits of the layer are zero.
pub(super) fn is_adts(file: &[u8]) -> bool {
    matches!(file, [0xff, second, ..] if second & 0xf6 == 0xf0)
}

pub(super) fn read_adts(file: &[u8]) -> Result<Sound, Broken> {
    const WHAT: &str = "an AAC frame is cut off";
    let bytes = Bytes(file);
    let (third, fourth) = (bytes.u8(2, WHAT)?, bytes.u8(3, WHAT)?);
    if third >> 2 & 0xf > 12 {
        return Err(broken("an AAC frame with an unheard-of sampling rate"));
    }
    let length =
        usize::from(fourth & 3) << 11 | usize::from(bytes.u8(4, WHAT)?) << 3 | usize::from(bytes.u8(5, WHAT)? >> 5);
    bytes.slice(0, length.max(7), WHAT)?;
    let channels = (third & 1) << 2 | fourth >> 6;
    Ok(Sound {
        format: SoundFormat::Aac,
        channels: (channels != 0).then_some(if channels == 7 { 8 } else { channels }),
    })
}

/// MP3: an ID3 tag, or a frame of layer III.
pub(super) fn is_mp3(file: &[u8]) -> bool {
    file.starts_with(b"ID3") || matches!(file, [0xff, second, ..] if second & 0xe6 == 0xe2)
}

pub(super) fn read_mp3(file: &[u8]) -> Result<Sound, Broken> {
    const WHAT: &str = "an MP3 frame is cut off";
    let bytes = Bytes(file);
    let mut at = 0;
    if file.starts_with(b"ID3") {
        // The tag's length has seven bits a byte and does not count its own ten bytes.
        let length = bytes
            .slice(6, 4, WHAT)?
            .iter()
            .fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        at = 10 + length;
        while file.get(at) == Some(&0) {
            at += 1;
        }
    }
    let header = bytes.slice(at, 4, WHAT)?;
    if header[0] != 0xff || header[1] & 0xe6 != 0xe2 {
        return Err(broken("an MP3 file whose first frame is not one"));
    }
    if header[2] >> 4 == 0xf || header[2] >> 2 & 3 == 3 {
        return Err(broken("an MP3 frame with an unheard-of rate"));
    }
    Ok(Sound {
        format: SoundFormat::Mp3,
        channels: Some(if header[3] >> 6 == 3 { 1 } else { 2 }),
    })
}
