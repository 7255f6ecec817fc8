//! MP4 and 3GP: boxes within boxes (ISO/IEC 14496-12), the H.264 configuration (14496-15) and the AAC one (14496-1, -3).

use super::bytes::{Broken, Bytes, broken};

/// Deepest nesting that is looked into; real files need seven.
const DEPTH_MAX: usize = 12;
/// Most tracks of a file that is looked at.
const TRACKS_MAX: usize = 32;

/// An MP4 or 3GP file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movie {
    /// Whether its brand says 3GP.
    pub is_3gp: bool,
    /// Whether the index (`moov`) comes before the media, so that playing can start before all is there.
    pub index_first: bool,
    /// Pictures.
    pub video: Vec<VideoTrack>,
    /// Sound.
    pub audio: Vec<AudioTrack>,
}

/// A track of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoTrack {
    /// How they are coded.
    pub codec: VideoCodec,
    /// Whether frames are shown in another order than they are stored in, which is how B-frames look from outside.
    pub reordered: bool,
}

/// How pictures are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoCodec {
    /// H.264, with the number of its profile: 66 baseline, 77 main, 100 high.
    H264 {
        /// The profile.
        profile: u8,
    },
    /// Something else, by its four-letter code.
    Other([u8; 4]),
}

/// A track of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioTrack {
    /// How it is coded.
    pub codec: AudioCodec,
    /// How many channels.
    pub channels: u16,
}

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioCodec {
    /// AAC.
    Aac,
    /// AMR, narrow or wide band.
    Amr,
    /// MP3 within MP4.
    Mp3,
    /// Something else, by its four-letter code.
    Other([u8; 4]),
}

/// Whether the file begins like one of these.
pub(super) fn is(file: &[u8]) -> bool {
    file.get(4..8) == Some(b"ftyp")
}

struct BoxAt<'a> {
    kind: [u8; 4],
    body: Bytes<'a>,
}

/// The boxes side by side in `bytes`. A length that reaches beyond the end is a file cut off.
fn boxes(bytes: Bytes<'_>) -> impl Iterator<Item = Result<BoxAt<'_>, Broken>> {
    const WHAT: &str = "an MP4 box is cut off";
    let mut rest = bytes;
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || rest.0.is_empty() {
            return None;
        }
        let mut next = || {
            let kind = rest.tag(4, WHAT)?;
            let (header, size) = match rest.be32(0, WHAT)? {
                0 => (8, rest.0.len()),
                1 => (16, usize::try_from(rest.be64(8, WHAT)?).map_err(|_| broken(WHAT))?),
                size => (8, size as usize),
            };
            let length = size
                .checked_sub(header)
                .ok_or(broken("an MP4 box is shorter than its header"))?;
            let body = Bytes(rest.slice(header, length, WHAT)?);
            rest = rest.from(size, WHAT)?;
            Ok(BoxAt { kind, body })
        };
        let item = next();
        failed = item.is_err();
        Some(item)
    })
}

/// Reads a file that begins with `ftyp`.
pub(super) fn read(file: &[u8]) -> Result<Movie, Broken> {
    let mut movie = Movie {
        is_3gp: file.get(8..11) == Some(b"3gp"),
        index_first: false,
        video: Vec::new(),
        audio: Vec::new(),
    };
    let (mut index_seen, mut media_seen) = (false, false);
    for item in boxes(Bytes(file)) {
        let BoxAt { kind, body } = item?;
        match &kind {
            b"moov" => {
                index_seen = true;
                movie.index_first = !media_seen;
                for item in boxes(body) {
                    let inner = item?;
                    if &inner.kind == b"trak" {
                        read_track(inner.body, &mut movie)?;
                    }
                }
            }
            b"mdat" => media_seen = true,
            _ => {}
        }
    }
    if !index_seen {
        return Err(broken("an MP4 file without its index (moov)"));
    }
    if movie.video.is_empty() && movie.audio.is_empty() {
        return Err(broken("an MP4 file without a track of pictures or sound"));
    }
    Ok(movie)
}

#[derive(Default)]
struct Track<'a> {
    handler: Option<[u8; 4]>,
    descriptions: Option<Bytes<'a>>,
    reordered: bool,
}

fn read_track(body: Bytes<'_>, movie: &mut Movie) -> Result<(), Broken> {
    let mut track = Track::default();
    collect(body, &mut track, 0)?;
    let Some(descriptions) = track.descriptions else {
        return Err(broken("an MP4 track without a description (stsd)"));
    };
    // Version and flags, the number of entries, then the entries; the first one speaks for the track.
    let entries = descriptions.from(8, "an MP4 track's description is cut off")?;
    let Some(entry) = boxes(entries).next().transpose()? else {
        return Err(broken("an MP4 track's description is empty"));
    };
    if movie.video.len() + movie.audio.len() >= TRACKS_MAX {
        return Err(broken("an MP4 file with too many tracks"));
    }
    match track.handler.as_ref() {
        Some(b"vide") => movie.video.push(VideoTrack {
            codec: video_codec(&entry)?,
            reordered: track.reordered,
        }),
        Some(b"soun") => movie.audio.push(audio_track(&entry)?),
        _ => {}
    }
    Ok(())
}

fn collect<'a>(body: Bytes<'a>, track: &mut Track<'a>, depth: usize) -> Result<(), Broken> {
    if depth > DEPTH_MAX {
        return Err(broken("MP4 boxes are nested too deeply"));
    }
    for item in boxes(body) {
        let inner = item?;
        match &inner.kind {
            b"mdia" | b"minf" | b"stbl" => collect(inner.body, track, depth + 1)?,
            b"hdlr" => track.handler = Some(inner.body.tag(8, "an MP4 track's kind is cut off")?),
            b"stsd" => track.descriptions = Some(inner.body),
            b"ctts" => track.reordered = true,
            _ => {}
        }
    }
    Ok(())
}

fn video_codec(entry: &BoxAt<'_>) -> Result<VideoCodec, Broken> {
    const WHAT: &str = "an H.264 track's configuration is cut off";
    // Fixed fields of a visual sample entry, before its own boxes.
    const FIXED: usize = 78;
    if !matches!(&entry.kind, b"avc1" | b"avc3") {
        return Ok(VideoCodec::Other(entry.kind));
    }
    for item in boxes(entry.body.from(FIXED, WHAT)?) {
        let inner = item?;
        if &inner.kind == b"avcC" {
            let profile = inner.body.u8(1, WHAT)?;
            return Ok(VideoCodec::H264 { profile });
        }
    }
    Err(broken("an H.264 track without its configuration (avcC)"))
}

fn audio_track(entry: &BoxAt<'_>) -> Result<AudioTrack, Broken> {
    const WHAT: &str = "an MP4 sound track's description is cut off";
    let version = entry.body.be16(8, WHAT)?;
    let mut channels = entry.body.be16(16, WHAT)?;
    let codec = match &entry.kind {
        b"mp4a" => {
            // QuickTime's later versions have more fixed fields.
            let fixed = 28 + [0, 16, 36].get(usize::from(version)).copied().unwrap_or(0);
            let mut found = None;
            for item in boxes(entry.body.from(fixed, WHAT)?) {
                let inner = item?;
                if &inner.kind == b"esds" {
                    found = Some(elementary_stream(inner.body)?);
                }
            }
            let (object_type, configured) =
                found.ok_or(broken("an MP4 sound track without its configuration (esds)"))?;
            channels = configured.unwrap_or(channels);
            match object_type {
                0x40 | 0x66..=0x68 => AudioCodec::Aac,
                0x69 | 0x6b => AudioCodec::Mp3,
                _ => AudioCodec::Other(entry.kind),
            }
        }
        b"samr" | b"sawb" => AudioCodec::Amr,
        _ => AudioCodec::Other(entry.kind),
    };
    Ok(AudioTrack { codec, channels })
}

/// The object type of a sound track, and the channels its decoder is told of.
fn elementary_stream(body: Bytes<'_>) -> Result<(u8, Option<u16>), Broken> {
    const WHAT: &str = "a sound track's configuration is cut off";
    let (tag, stream) = descriptor(body.from(4, WHAT)?)?;
    if tag != 3 {
        return Err(broken("a sound track's configuration does not begin as one"));
    }
    let flags = stream.u8(2, WHAT)?;
    let mut at = 3;
    if flags & 0x80 != 0 {
        at += 2;
    }
    if flags & 0x40 != 0 {
        at += 1 + usize::from(stream.u8(at, WHAT)?);
    }
    if flags & 0x20 != 0 {
        at += 2;
    }
    let (tag, decoder) = descriptor(stream.from(at, WHAT)?)?;
    if tag != 4 {
        return Err(broken("a sound track's configuration names no decoder"));
    }
    let object_type = decoder.u8(0, WHAT)?;
    let channels = match decoder.from(13, WHAT) {
        Ok(rest) if !rest.0.is_empty() => match descriptor(rest)? {
            (5, specific) => channels_of(specific)?,
            _ => None,
        },
        _ => None,
    };
    Ok((object_type, channels))
}

/// A descriptor: its tag and contents. Lengths have seven bits a byte.
fn descriptor(bytes: Bytes<'_>) -> Result<(u8, Bytes<'_>), Broken> {
    const WHAT: &str = "a sound track's descriptor is cut off";
    let tag = bytes.u8(0, WHAT)?;
    let mut length = 0_usize;
    for at in 1..=4 {
        let byte = bytes.u8(at, WHAT)?;
        length = (length << 7) | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok((tag, Bytes(bytes.slice(at + 1, length, WHAT)?)));
        }
    }
    Err(broken("a sound track's descriptor has no length"))
}

/// The channels in an AudioSpecificConfig; absent where they are told elsewhere in the stream.
fn channels_of(specific: Bytes<'_>) -> Result<Option<u16>, Broken> {
    let mut bits = Bits { bytes: specific, at: 0 };
    if bits.take(5)? == 31 {
        bits.take(6)?;
    }
    if bits.take(4)? == 15 {
        bits.take(24)?;
    }
    Ok(match bits.take(4)? {
        0 => None,
        7 => Some(8),
        count => Some(count as u16),
    })
}

struct Bits<'a> {
    bytes: Bytes<'a>,
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<u32, Broken> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self
                .bytes
                .u8(self.at / 8, "a sound track's decoder configuration is cut off")?;
            value = (value << 1) | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }
}
