//! Files made byte by byte, after the formats' own specifications; the reader under test made none of them.

#![expect(clippy::trivially_copy_pass_by_ref, reason = "byte string literals are references")]

use crate::media::sound::checksum;

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// An MP4 box.
pub(super) fn mp4_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u32 + 8).to_be_bytes();
    join(&[&size, kind, body])
}

pub(super) fn ftyp(brand: &[u8; 4]) -> Vec<u8> {
    mp4_box(b"ftyp", &join(&[brand, &[0, 0, 2, 0], b"isom", brand]))
}

fn track(handler: &[u8; 4], entry: &[u8], reordered: bool) -> Vec<u8> {
    let hdlr = mp4_box(b"hdlr", &join(&[&[0; 8], handler, &[0; 13]]));
    let stsd = mp4_box(b"stsd", &join(&[&[0; 4], &1_u32.to_be_bytes(), entry]));
    let ctts = if reordered {
        mp4_box(b"ctts", &[0; 8])
    } else {
        Vec::new()
    };
    let stbl = mp4_box(b"stbl", &join(&[&stsd, &ctts]));
    let minf = mp4_box(b"minf", &stbl);
    let mdia = mp4_box(b"mdia", &join(&[&hdlr, &minf]));
    mp4_box(b"trak", &join(&[&mp4_box(b"tkhd", &[0; 84]), &mdia]))
}

pub(super) fn h264(profile: u8, reordered: bool) -> Vec<u8> {
    let avcc = mp4_box(b"avcC", &[1, profile, 0, 31, 0xff, 0xe1, 0, 0, 1, 0, 0]);
    track(b"vide", &mp4_box(b"avc1", &join(&[&[0; 78], &avcc])), reordered)
}

pub(super) fn other_video(codec: &[u8; 4]) -> Vec<u8> {
    track(b"vide", &mp4_box(codec, &[0; 78]), false)
}

pub(super) fn h264_without_configuration() -> Vec<u8> {
    track(b"vide", &mp4_box(b"avc1", &[0; 78]), false)
}

fn sample_entry(kind: &[u8; 4], channels: u16, boxes: &[u8]) -> Vec<u8> {
    let fixed = join(&[
        &[0; 16],
        &channels.to_be_bytes(),
        &[0, 16, 0, 0, 0, 0],
        &(48_000_u32 << 16).to_be_bytes(),
    ]);
    mp4_box(kind, &join(&[&fixed, boxes]))
}

/// Sound whose sample entry says two channels (as most encoders write) and whose decoder is told of `channels`.
pub(super) fn mp4a(object_type: u8, channels: u8) -> Vec<u8> {
    // AAC-LC (2), 48 kHz (3), channels, three zero bits.
    let bits = 2_u16 << 11 | 3 << 7 | u16::from(channels) << 3;
    let specific = join(&[&[5, 2], &bits.to_be_bytes()]);
    let decoder = join(&[&[4, 13 + specific.len() as u8, object_type, 0x15], &[0; 11], &specific]);
    // A length of two bytes, as some muxers write it.
    let stream = join(&[&[3, 0x80, 3 + decoder.len() as u8, 0, 1, 0], &decoder]);
    let esds = mp4_box(b"esds", &join(&[&[0; 4], &stream]));
    track(b"soun", &sample_entry(b"mp4a", 2, &esds), false)
}

pub(super) fn other_sound(codec: &[u8; 4]) -> Vec<u8> {
    track(b"soun", &sample_entry(codec, 1, &[]), false)
}

pub(super) fn subtitles() -> Vec<u8> {
    track(b"text", &mp4_box(b"tx3g", &[0; 38]), false)
}

/// A whole file with its index first.
pub(super) fn movie(brand: &[u8; 4], tracks: &[Vec<u8>]) -> Vec<u8> {
    let moov = mp4_box(b"moov", &join(&[&mp4_box(b"mvhd", &[0; 100]), &tracks.concat()]));
    join(&[&ftyp(brand), &moov, &mp4_box(b"mdat", &[7; 64])])
}

/// A whole file with its index last and a 64-bit length on the media.
pub(super) fn movie_index_last(tracks: &[Vec<u8>]) -> Vec<u8> {
    let mdat = join(&[&1_u32.to_be_bytes(), b"mdat", &(16_u64 + 64).to_be_bytes(), &[7; 64]]);
    join(&[&ftyp(b"isom"), &mdat, &mp4_box(b"moov", &tracks.concat())])
}

pub(super) fn ogg_page(serial: u32, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segments = vec![255; payload.len() / 255];
    segments.push((payload.len() % 255) as u8);
    let mut page = join(&[
        b"OggS",
        &[0, flags],
        &0_u64.to_le_bytes(),
        &serial.to_le_bytes(),
        &sequence.to_le_bytes(),
        &[0; 4],
        &[segments.len() as u8],
        &segments,
        payload,
    ]);
    let sum = checksum(&page).to_le_bytes();
    page[22..26].copy_from_slice(&sum);
    page
}

pub(super) fn ogg(head: &[u8]) -> Vec<u8> {
    let tags = ogg_page(7, 1, 0, b"OpusTags\0\0\0\0\0\0\0\0");
    join(&[&ogg_page(7, 0, 2, head), &tags, &ogg_page(7, 2, 4, &[0x55; 600])])
}

pub(super) fn opus(channels: u8) -> Vec<u8> {
    ogg(&join(&[b"OpusHead", &[1, channels], &[0; 9]]))
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    join(&[b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes(), b"WEBP", chunks])
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    join(&[kind, &(body.len() as u32).to_le_bytes(), body])
}

pub(super) fn webp_lossy(width: u16, height: u16) -> Vec<u8> {
    let frame = join(&[
        &[0x10, 0, 0, 0x9d, 0x01, 0x2a],
        &width.to_le_bytes(),
        &height.to_le_bytes(),
        &[0; 10],
    ]);
    riff(&chunk(b"VP8 ", &frame))
}

pub(super) fn webp_lossless(width: u32, height: u32) -> Vec<u8> {
    let bits = (width - 1) | (height - 1) << 14;
    riff(&chunk(b"VP8L", &join(&[&[0x2f], &bits.to_le_bytes(), &[0; 10]])))
}

pub(super) fn webp_extended(side: u32, animated: bool, padding: usize) -> Vec<u8> {
    let side = &(side - 1).to_le_bytes()[..3];
    let flags = if animated { 0x12 } else { 0x10 };
    let header = chunk(b"VP8X", &join(&[&[flags, 0, 0, 0], side, side]));
    riff(&join(&[&header, &chunk(b"ANMF", &vec![0; padding])]))
}

pub(super) fn jpeg(frame_marker: u8, precision: u8, channels: u8) -> Vec<u8> {
    let app0 = join(&[&[0xff, 0xe0, 0, 16], b"JFIF\0", &[1, 1, 0, 0, 1, 0, 1, 0, 0]]);
    let parts = vec![0; usize::from(channels) * 3];
    let length = 8 + parts.len() as u16;
    let frame = join(&[
        &[0xff, frame_marker],
        &length.to_be_bytes(),
        &[precision, 0, 40, 0, 60, channels],
        &parts,
    ]);
    let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2, 3, 0xff, 0, 4];
    join(&[&[0xff, 0xd8], &app0, &frame, &scan, &[0xff, 0xd9]])
}

fn png_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    join(&[&(body.len() as u32).to_be_bytes(), kind, body, &[0; 4]])
}

pub(super) fn png(depth: u8, colours: u8) -> Vec<u8> {
    let header = join(&[&60_u32.to_be_bytes(), &40_u32.to_be_bytes(), &[depth, colours, 0, 0, 0]]);
    join(&[
        b"\x89PNG\r\n\x1a\n",
        &png_chunk(b"IHDR", &header),
        &png_chunk(b"IDAT", &[1, 2, 3]),
        &png_chunk(b"IEND", &[]),
    ])
}

pub(super) fn mp3(tagged: bool) -> Vec<u8> {
    let tag: &[u8] = if tagged { b"ID3\x04\0\0\0\0\0\x05hello" } else { b"" };
    // MPEG 1 layer III, 128 kbit/s, 44.1 kHz, joint stereo.
    join(&[tag, &[0xff, 0xfb, 0x90, 0x64], &[0; 413]])
}

/// One AAC frame in ADTS: AAC-LC, 44.1 kHz, two channels, of 64 bytes.
pub(super) fn adts() -> Vec<u8> {
    let length = 64_u16;
    let header = [
        0xff,
        0xf1,
        1 << 6 | 4 << 2,
        2 << 6 | (length >> 11) as u8,
        (length >> 3) as u8,
        ((length & 7) << 5) as u8 | 0x1f,
        0xfc,
    ];
    join(&[&header, &[0; 57]])
}

pub(super) fn amr(magic: &[u8]) -> Vec<u8> {
    join(&[magic, &[0x3c; 32]])
}
