//! Is a file one that WhatsApp takes? Read from its contents, never from its name (Cloud API, "Supported media types").
//!
//! [`inspect`] says what a file is; [`check`] says whether it may be sent as what the caller wants, with all reasons at
//! once. Meta answers a wrong file only later, by error 131053, when the message is lost.

mod bytes;
mod document;
mod hash;
mod movie;
mod picture;
mod sound;
#[cfg(test)]
mod tests;

pub use self::{
    bytes::Broken,
    document::document_type,
    hash::ContentHash,
    movie::{AudioCodec, AudioTrack, Movie, VideoCodec, VideoTrack},
    picture::{Colours, Picture, WebP},
    sound::{Sound, SoundFormat},
};
use crate::{limits, message::Problem};

/// What a file is, by its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// A JPEG.
    Jpeg(Picture),
    /// A PNG.
    Png(Picture),
    /// A WebP.
    WebP(WebP),
    /// MP4 or 3GP, with pictures or with sound alone.
    Movie(Movie),
    /// Sound.
    Sound(Sound),
    /// Anything else: fit for a document.
    Other,
}

/// What a file shall be sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture in the conversation.
    Image,
    /// A sticker.
    Sticker,
    /// Sound.
    Audio,
    /// A voice note, which is played where it stands and reported as `played`.
    Voice,
    /// A video.
    Video,
    /// A file with a name.
    Document,
}

impl Kind {
    /// The kind in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Sticker => "sticker",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::Document => "document",
        }
    }

    /// The most bytes that such a file may ever have (Cloud API, "Media"); [`check`] knows exactly.
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Image => limits::IMAGE_BYTES_MAX,
            Self::Sticker => limits::ANIMATED_STICKER_BYTES_MAX,
            Self::Audio | Self::Voice => limits::AUDIO_BYTES_MAX,
            Self::Video => limits::VIDEO_BYTES_MAX,
            Self::Document => limits::DOCUMENT_BYTES_MAX,
        }
    }
}

/// Whether a video has to have sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioRule {
    /// One track of sound or none, as Meta documents.
    #[default]
    Optional,
    /// Exactly one: some phones were reported not to play a video without.
    Required,
}

/// What is to be said of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Why Meta would refuse it.
    pub problems: Vec<Problem>,
    /// Why some phones may not show it well.
    pub warnings: Vec<Problem>,
}

/// What the file is. `Err` for one that begins like something known and then is not.
pub fn inspect(file: &[u8]) -> Result<File, Broken> {
    if picture::is_jpeg(file) {
        picture::read_jpeg(file).map(File::Jpeg)
    } else if picture::is_png(file) {
        picture::read_png(file).map(File::Png)
    } else if picture::is_webp(file) {
        picture::read_webp(file).map(File::WebP)
    } else if movie::is(file) {
        movie::read(file).map(File::Movie)
    } else if sound::is_ogg(file) {
        sound::read_ogg(file).map(File::Sound)
    } else if sound::is_amr(file) {
        sound::read_amr(file).map(File::Sound)
    } else if sound::is_adts(file) {
        sound::read_adts(file).map(File::Sound)
    } else if sound::is_mp3(file) {
        sound::read_mp3(file).map(File::Sound)
    } else {
        Ok(File::Other)
    }
}

impl File {
    /// The media type to upload it under; `None` for a document, whose type its sender knows.
    pub fn media_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::Jpeg(_) => "image/jpeg",
            Self::Png(_) => "image/png",
            Self::WebP(_) => "image/webp",
            Self::Movie(movie) => match (movie.video.is_empty(), movie.is_3gp) {
                (true, _) => "audio/mp4",
                (false, true) => "video/3gp",
                (false, false) => "video/mp4",
            },
            Self::Sound(sound) => match sound.format {
                SoundFormat::OggOpus | SoundFormat::OggOther => "audio/ogg",
                SoundFormat::Mp3 => "audio/mpeg",
                SoundFormat::Aac => "audio/aac",
                SoundFormat::Amr | SoundFormat::AmrWideBand => "audio/amr",
            },
            Self::Other => return None,
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Jpeg(_) => "a JPEG picture",
            Self::Png(_) => "a PNG picture",
            Self::WebP(_) => "a WebP picture",
            Self::Movie(movie) if movie.video.is_empty() => "MP4 sound",
            Self::Movie(_) => "an MP4 or 3GP video",
            Self::Sound(_) => "sound",
            Self::Other => "a file of another kind",
        }
    }
}

impl Verdict {
    /// Whether Meta would take the file.
    pub fn is_sendable(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, path: &str, found: impl Into<String>, allowed: impl Into<String>) {
        self.problems.push(problem(path, found, allowed));
    }

    fn warning(&mut self, path: &str, found: impl Into<String>, allowed: impl Into<String>) {
        self.warnings.push(problem(path, found, allowed));
    }
}

fn problem(path: &str, found: impl Into<String>, allowed: impl Into<String>) -> Problem {
    Problem {
        path: path.to_owned(),
        found: found.into(),
        allowed: allowed.into(),
    }
}

/// Whether a file may be sent as `kind`, with everything that speaks against it.
pub fn check(kind: Kind, file: &[u8], audio_rule: AudioRule) -> Verdict {
    let mut verdict = Verdict::default();
    if file.is_empty() {
        verdict.problem("file", "an empty file", "a file with contents");
        return verdict;
    }
    let inspected = match inspect(file) {
        Ok(inspected) => inspected,
        // As a document anything is taken; whoever opens it sees what is wrong.
        Err(_) if kind == Kind::Document => File::Other,
        Err(broken) => {
            verdict.problem("file", broken.to_string(), "a whole file");
            return verdict;
        }
    };
    check_size(kind, &inspected, file.len(), &mut verdict);
    match (kind, &inspected) {
        (Kind::Image, File::Jpeg(picture) | File::Png(picture)) => check_picture(picture, &mut verdict),
        (Kind::Sticker, File::WebP(webp)) => check_sticker(*webp, &mut verdict),
        (Kind::Audio | Kind::Voice, File::Sound(sound)) => check_sound(kind, *sound, &mut verdict),
        (Kind::Audio, File::Movie(movie)) if movie.video.is_empty() => check_tracks(movie, audio_rule, &mut verdict),
        (Kind::Video, File::Movie(movie)) if !movie.video.is_empty() => check_tracks(movie, audio_rule, &mut verdict),
        (Kind::Document, _) => {}
        (wanted, found) => verdict.problem("file", found.name(), allowed(wanted)),
    }
    verdict
}

const fn allowed(kind: Kind) -> &'static str {
    match kind {
        Kind::Image => "JPEG or PNG",
        Kind::Sticker => "WebP",
        Kind::Audio => "AAC, AMR, MP3, MP4 sound, or OGG with OPUS",
        Kind::Voice => "OGG with OPUS",
        Kind::Video => "MP4 or 3GP with H.264 and AAC",
        Kind::Document => "any file",
    }
}

fn check_size(kind: Kind, file: &File, bytes: usize, verdict: &mut Verdict) {
    let max = match (kind, file) {
        (Kind::Image, _) => limits::IMAGE_BYTES_MAX,
        (Kind::Sticker, File::WebP(WebP { animated: true, .. })) => limits::ANIMATED_STICKER_BYTES_MAX,
        (Kind::Sticker, _) => limits::STICKER_BYTES_MAX,
        (Kind::Audio | Kind::Voice, _) => limits::AUDIO_BYTES_MAX,
        (Kind::Video, _) => limits::VIDEO_BYTES_MAX,
        (Kind::Document, _) => limits::DOCUMENT_BYTES_MAX,
    };
    if bytes > max {
        verdict.problem("file.size", format!("{bytes} bytes"), format!("at most {max} bytes"));
    } else if kind == Kind::Voice && bytes > limits::VOICE_NOTE_INSTANT_BYTES_MAX {
        let most = limits::VOICE_NOTE_INSTANT_BYTES_MAX;
        verdict.warning(
            "file.size",
            format!("{bytes} bytes, so it has to be downloaded by hand"),
            format!("up to {most} bytes to be played at once"),
        );
    }
}

fn check_picture(picture: &Picture, verdict: &mut Verdict) {
    if picture.width == 0 || picture.height == 0 {
        verdict.problem("file.picture", "a picture without pixels", "a picture");
    }
    if picture.bits_per_channel != 8 {
        let found = format!("{} bits a channel", picture.bits_per_channel);
        verdict.problem("file.picture.depth", found, "8 bits a channel");
    }
    if !matches!(picture.colours, Colours::Rgb | Colours::Rgba) {
        let found = match picture.colours {
            Colours::Grey | Colours::GreyAlpha => "grey",
            Colours::Palette => "a palette",
            Colours::Cmyk => "inks (CMYK)",
            Colours::Rgb | Colours::Rgba => "colours",
        };
        verdict.problem("file.picture.colours", found, "RGB or RGBA");
    }
}

fn check_sticker(webp: WebP, verdict: &mut Verdict) {
    let side = limits::STICKER_SIDE_PIXELS;
    if (webp.width, webp.height) != (side, side) {
        let found = format!("{} × {} pixels", webp.width, webp.height);
        verdict.problem("file.picture.size", found, format!("{side} × {side} pixels"));
    }
}

fn check_sound(kind: Kind, sound: Sound, verdict: &mut Verdict) {
    match (kind, sound.format) {
        (_, SoundFormat::OggOther) => verdict.problem("file.audio.codec", "OGG without OPUS", "OGG only with OPUS"),
        (Kind::Audio, _) | (_, SoundFormat::OggOpus) => {}
        _ => verdict.problem("file", "sound of another kind", allowed(kind)),
    }
    if let (SoundFormat::OggOpus, Some(channels @ 2..)) = (sound.format, sound.channels) {
        verdict.problem(
            "file.audio.channels",
            format!("{channels} channels"),
            "one channel (mono)",
        );
    }
}

fn check_tracks(movie: &Movie, audio_rule: AudioRule, verdict: &mut Verdict) {
    const H264_HIGH: u8 = 100;
    for (index, track) in movie.video.iter().enumerate() {
        let path = format!("file.video[{index}]");
        match track.codec {
            VideoCodec::H264 { profile } if profile >= H264_HIGH => {
                verdict.warning(
                    &path,
                    "H.264 in high profile",
                    "baseline or main, which every phone shows",
                );
            }
            VideoCodec::H264 { .. } => {}
            VideoCodec::Other(code) => verdict.problem(&path, format!("codec {}", readable(code)), "H.264"),
        }
        if track.reordered {
            verdict.warning(&path, "B-frames", "none, for some phones do not show them");
        }
    }
    for (index, track) in movie.audio.iter().enumerate() {
        let path = format!("file.audio[{index}]");
        let fits = match track.codec {
            AudioCodec::Aac => true,
            AudioCodec::Amr | AudioCodec::Mp3 => movie.video.is_empty(),
            AudioCodec::Other(_) => false,
        };
        if !fits {
            let found = match track.codec {
                AudioCodec::Aac => "AAC".to_owned(),
                AudioCodec::Amr => "AMR".to_owned(),
                AudioCodec::Mp3 => "MP3".to_owned(),
                AudioCodec::Other(code) => format!("codec {}", readable(code)),
            };
            verdict.problem(&path, found, "AAC");
        }
    }
    let (is_video, tracks) = (!movie.video.is_empty(), movie.audio.len());
    if movie.video.len() > 1 {
        verdict.problem("file.video", format!("{} tracks of pictures", movie.video.len()), "one");
    }
    if tracks > 1 {
        verdict.problem("file.audio", format!("{tracks} tracks of sound"), "one at most");
    }
    if is_video && tracks == 0 && audio_rule == AudioRule::Required {
        verdict.problem("file.audio", "no track of sound", "one track of sound");
    }
    if is_video && !movie.index_first {
        let found = "the index (moov) comes last";
        verdict.warning("file", found, "the index first, so that playing can start at once");
    }
}

/// A four-letter code as text; what is not a letter or digit becomes a dot.
fn readable(code: [u8; 4]) -> String {
    let shown = |byte: &u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(*byte)
        } else {
            '.'
        }
    };
    code.iter().map(shown).collect()
}
