//! A corpus of good and broken files, each with what is to be said of it.

mod fixtures;

use proptest::prelude::*;

use self::fixtures as make;
use super::*;

/// Name, kind, file, the paths of its problems, the paths of its warnings.
type Case = (
    &'static str,
    Kind,
    Vec<u8>,
    &'static [&'static str],
    &'static [&'static str],
);

const BASELINE: u8 = 66;
const HIGH: u8 = 100;
const AAC: u8 = 0x40;

fn cut(mut file: Vec<u8>, keep: usize) -> Vec<u8> {
    file.truncate(keep);
    file
}

fn flipped(mut file: Vec<u8>, at: usize) -> Vec<u8> {
    file[at] ^= 0xff;
    file
}

fn pictures() -> Vec<Case> {
    vec![
        ("a JPEG", Kind::Image, make::jpeg(0xc0, 8, 3), &[], &[]),
        ("a progressive JPEG", Kind::Image, make::jpeg(0xc2, 8, 3), &[], &[]),
        (
            "a JPEG for print",
            Kind::Image,
            make::jpeg(0xc0, 8, 4),
            &["file.picture.colours"],
            &[],
        ),
        (
            "a grey JPEG",
            Kind::Image,
            make::jpeg(0xc0, 8, 1),
            &["file.picture.colours"],
            &[],
        ),
        (
            "a JPEG of 12 bits",
            Kind::Image,
            make::jpeg(0xc1, 12, 3),
            &["file.picture.depth"],
            &[],
        ),
        (
            "a JPEG cut off",
            Kind::Image,
            cut(make::jpeg(0xc0, 8, 3), 50),
            &["file"],
            &[],
        ),
        (
            "a JPEG without a size",
            Kind::Image,
            make::jpeg(0xc4, 8, 3),
            &["file"],
            &[],
        ),
        ("a PNG", Kind::Image, make::png(8, 2), &[], &[]),
        ("a PNG with transparency", Kind::Image, make::png(8, 6), &[], &[]),
        (
            "a PNG with a palette",
            Kind::Image,
            make::png(8, 3),
            &["file.picture.colours"],
            &[],
        ),
        (
            "a grey PNG of 16 bits",
            Kind::Image,
            make::png(16, 0),
            &["file.picture.depth", "file.picture.colours"],
            &[],
        ),
        ("a PNG cut off", Kind::Image, cut(make::png(8, 2), 40), &["file"], &[]),
        (
            "a WebP as a picture",
            Kind::Image,
            make::webp_lossy(512, 512),
            &["file"],
            &[],
        ),
        (
            "a picture of 5 MiB and more",
            Kind::Image,
            [make::png(8, 2), vec![0; 5 << 20]].concat(),
            &["file.size"],
            &[],
        ),
        ("a sticker", Kind::Sticker, make::webp_lossy(512, 512), &[], &[]),
        (
            "a lossless sticker",
            Kind::Sticker,
            make::webp_lossless(512, 512),
            &[],
            &[],
        ),
        (
            "a moving sticker",
            Kind::Sticker,
            make::webp_extended(512, true, 200 << 10),
            &[],
            &[],
        ),
        (
            "a large still sticker",
            Kind::Sticker,
            make::webp_extended(512, false, 200 << 10),
            &["file.size"],
            &[],
        ),
        (
            "a large moving sticker",
            Kind::Sticker,
            make::webp_extended(512, true, 600 << 10),
            &["file.size"],
            &[],
        ),
        (
            "a sticker of another size",
            Kind::Sticker,
            make::webp_lossy(512, 511),
            &["file.picture.size"],
            &[],
        ),
        (
            "a sticker cut off",
            Kind::Sticker,
            cut(make::webp_lossy(512, 512), 30),
            &["file"],
            &[],
        ),
        ("a PNG as a sticker", Kind::Sticker, make::png(8, 6), &["file"], &[]),
    ]
}

fn videos() -> Vec<Case> {
    let whole = || vec![make::h264(BASELINE, false), make::mp4a(AAC, 1)];
    vec![
        ("an MP4", Kind::Video, make::movie(b"isom", &whole()), &[], &[]),
        ("a 3GP", Kind::Video, make::movie(b"3gp5", &whole()), &[], &[]),
        (
            "an MP4 without sound",
            Kind::Video,
            make::movie(b"isom", &whole()[..1]),
            &[],
            &[],
        ),
        (
            "an MP4 with subtitles",
            Kind::Video,
            make::movie(b"isom", &[whole(), vec![make::subtitles()]].concat()),
            &[],
            &[],
        ),
        (
            "an MP4 with its index last",
            Kind::Video,
            make::movie_index_last(&whole()),
            &[],
            &["file"],
        ),
        (
            "high profile",
            Kind::Video,
            make::movie(b"isom", &[make::h264(HIGH, false)]),
            &[],
            &["file.video[0]"],
        ),
        (
            "B-frames",
            Kind::Video,
            make::movie(b"isom", &[make::h264(BASELINE, true)]),
            &[],
            &["file.video[0]"],
        ),
        (
            "H.265",
            Kind::Video,
            make::movie(b"isom", &[make::other_video(b"hvc1")]),
            &["file.video[0]"],
            &[],
        ),
        (
            "two sound tracks",
            Kind::Video,
            make::movie(b"isom", &[whole(), vec![make::mp4a(AAC, 2)]].concat()),
            &["file.audio"],
            &[],
        ),
        (
            "a video with MP3 inside",
            Kind::Video,
            make::movie(b"isom", &[make::h264(BASELINE, false), make::mp4a(0x6b, 2)]),
            &["file.audio[0]"],
            &[],
        ),
        (
            "a 3GP with AMR",
            Kind::Video,
            make::movie(b"3gp4", &[make::h264(BASELINE, false), make::other_sound(b"samr")]),
            &["file.audio[0]"],
            &[],
        ),
        (
            "H.264 without its configuration",
            Kind::Video,
            make::movie(b"isom", &[make::h264_without_configuration()]),
            &["file"],
            &[],
        ),
        (
            "an MP4 cut off",
            Kind::Video,
            cut(make::movie(b"isom", &whole()), 300),
            &["file"],
            &[],
        ),
        (
            "an MP4 without an index",
            Kind::Video,
            [make::ftyp(b"isom"), make::mp4_box(b"mdat", &[7; 64])].concat(),
            &["file"],
            &[],
        ),
        (
            "MP4 sound as a video",
            Kind::Video,
            make::movie(b"M4A ", &[make::mp4a(AAC, 2)]),
            &["file"],
            &[],
        ),
        (
            "a video as a picture",
            Kind::Image,
            make::movie(b"isom", &whole()),
            &["file"],
            &[],
        ),
    ]
}

fn sounds() -> Vec<Case> {
    vec![
        ("OPUS", Kind::Audio, make::opus(1), &[], &[]),
        ("OPUS as a voice note", Kind::Voice, make::opus(1), &[], &[]),
        (
            "OPUS in stereo",
            Kind::Voice,
            make::opus(2),
            &["file.audio.channels"],
            &[],
        ),
        (
            "Vorbis",
            Kind::Audio,
            make::ogg(b"\x01vorbis-and-more"),
            &["file.audio.codec"],
            &[],
        ),
        (
            "OPUS with a wrong sum",
            Kind::Audio,
            flipped(make::opus(1), 300),
            &["file"],
            &[],
        ),
        ("OPUS cut off", Kind::Audio, cut(make::opus(1), 200), &["file"], &[]),
        (
            "OPUS without its last page",
            Kind::Audio,
            make::ogg_page(7, 0, 2, b"OpusHead\x01\x01"),
            &["file"],
            &[],
        ),
        (
            "two streams in one OGG",
            Kind::Audio,
            [make::opus(1), make::ogg_page(8, 0, 6, b"OpusHead\x01\x01")].concat(),
            &["file"],
            &[],
        ),
        ("MP3", Kind::Audio, make::mp3(false), &[], &[]),
        ("MP3 with a tag", Kind::Audio, make::mp3(true), &[], &[]),
        ("MP3 as a voice note", Kind::Voice, make::mp3(true), &["file"], &[]),
        (
            "a tag without MP3",
            Kind::Audio,
            cut(make::mp3(true), 15),
            &["file"],
            &[],
        ),
        ("AAC", Kind::Audio, make::adts(), &[], &[]),
        ("AAC cut off", Kind::Audio, cut(make::adts(), 20), &["file"], &[]),
        ("AMR", Kind::Audio, make::amr(b"#!AMR\n"), &[], &[]),
        ("wide-band AMR", Kind::Audio, make::amr(b"#!AMR-WB\n"), &[], &[]),
        ("AMR without sound", Kind::Audio, b"#!AMR\n".to_vec(), &["file"], &[]),
        (
            "AMR of many channels",
            Kind::Audio,
            make::amr(b"#!AMR_MC1.0\n"),
            &["file"],
            &[],
        ),
        (
            "MP4 sound",
            Kind::Audio,
            make::movie(b"M4A ", &[make::mp4a(AAC, 2)]),
            &[],
            &[],
        ),
        (
            "ALAC in MP4",
            Kind::Audio,
            make::movie(b"M4A ", &[make::other_sound(b"alac")]),
            &["file.audio[0]"],
            &[],
        ),
        (
            "a video as sound",
            Kind::Audio,
            make::movie(b"isom", &[make::h264(BASELINE, false)]),
            &["file"],
            &[],
        ),
        ("a text as sound", Kind::Audio, b"hello".to_vec(), &["file"], &[]),
    ]
}

#[test]
fn every_file_of_the_corpus_gets_its_verdict() {
    let corpus = [pictures(), videos(), sounds()].concat();
    assert!(corpus.len() >= 40);
    let paths = |problems: &[Problem]| problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>();
    for (name, kind, file, problems, warnings) in corpus {
        let verdict = check(kind, &file, AudioRule::Optional);
        assert_eq!(paths(&verdict.problems), problems, "{name}: {verdict:?}");
        if problems.is_empty() {
            assert_eq!(paths(&verdict.warnings), warnings, "{name}: {verdict:?}");
        }
    }
}

#[test]
fn a_document_may_be_anything_but_nothing() {
    for file in [b"%PDF-1.7".to_vec(), cut(make::jpeg(0xc0, 8, 3), 50)] {
        assert!(check(Kind::Document, &file, AudioRule::Optional).is_sendable());
    }
    assert!(!check(Kind::Document, &[], AudioRule::Optional).is_sendable());
}

#[test]
fn whether_a_video_needs_sound_is_a_setting() {
    let silent = make::movie(b"isom", &[make::h264(BASELINE, false)]);
    assert!(check(Kind::Video, &silent, AudioRule::Optional).is_sendable());
    let verdict = check(Kind::Video, &silent, AudioRule::Required);
    assert_eq!(verdict.problems.len(), 1);
    assert_eq!(verdict.problems[0].found, "no track of sound");
}

#[test]
fn channels_are_those_the_decoder_is_told_of_not_those_of_the_entry() {
    let File::Movie(movie) = inspect(&make::movie(b"M4A ", &[make::mp4a(AAC, 1)])).unwrap() else {
        panic!("a movie");
    };
    assert_eq!(
        movie.audio,
        [AudioTrack {
            codec: AudioCodec::Aac,
            channels: 1
        }]
    );
}

#[test]
fn a_large_voice_note_is_sent_with_a_warning() {
    let pages = (1..1_500).map(|sequence| make::ogg_page(7, sequence, 4, &[0x55; 600]));
    let file = [make::opus(1), pages.flatten().collect()].concat();
    let verdict = check(Kind::Voice, &file, AudioRule::Optional);
    assert!(verdict.is_sendable() && verdict.warnings.len() == 1, "{verdict:?}");
}

#[test]
fn the_media_type_comes_from_the_contents() {
    let media_type = |file: &[u8]| inspect(file).unwrap().media_type();
    assert_eq!(
        media_type(&make::movie(b"3gp5", &[make::h264(BASELINE, false)])),
        Some("video/3gp")
    );
    assert_eq!(
        media_type(&make::movie(b"M4A ", &[make::mp4a(AAC, 2)])),
        Some("audio/mp4")
    );
    assert_eq!(media_type(&make::opus(1)), Some("audio/ogg"));
    assert_eq!(media_type(b"%PDF-1.7"), None);
}

#[test]
fn the_check_sum_by_table_is_the_one_bit_by_bit() {
    let page = make::ogg_page(0x1234_5678, 0, 2, b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0");
    assert_eq!(
        u32::from_le_bytes(page[22..26].try_into().unwrap()),
        checksum_bit_by_bit(&page)
    );
}

fn checksum_bit_by_bit(page: &[u8]) -> u32 {
    let mut sum = 0_u32;
    for (at, byte) in page.iter().enumerate() {
        let byte = if (22..26).contains(&at) { 0 } else { *byte };
        sum ^= u32::from(byte) << 24;
        for _ in 0..8 {
            let carry = sum & 0x8000_0000 != 0;
            sum <<= 1;
            if carry {
                sum ^= 0x04c1_1db7;
            }
        }
    }
    sum
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_fail_otherwise_than_by_saying_so(
        which in 0_usize..1_000, at in any::<prop::sample::Index>(), byte in any::<u8>(), keep in any::<prop::sample::Index>(),
    ) {
        let corpus = [pictures(), videos(), sounds()].concat();
        let mut file = corpus[which % corpus.len()].2.clone();
        if !file.is_empty() {
            let at = at.index(file.len().min(400));
            file[at] = byte;
            file.truncate(keep.index(file.len()) + 1);
        }
        for kind in [Kind::Image, Kind::Sticker, Kind::Audio, Kind::Voice, Kind::Video, Kind::Document] {
            let verdict = check(kind, &file, AudioRule::Required);
            prop_assert_eq!(verdict.is_sendable(), verdict.problems.is_empty());
        }
    }
}
