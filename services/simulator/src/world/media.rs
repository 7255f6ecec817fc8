//! Media files: uploaded by businesses or sent in by people, with ids and download addresses that expire.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::World;
use super::answer::Answer;
use super::draw::{self, Draw};
use crate::error::GraphError;
use crate::media_kind::{self, FILE_BYTES_MAX, FileKind};
use crate::request::{MediaReference, MediaSource, invalid};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long an uploaded file is kept.
const UPLOADED_LIFE_MS: i64 = 30 * DAY_MS;
/// How long a file that a person sent is kept, since October 2025.
const RECEIVED_LIFE_MS: i64 = 7 * DAY_MS;
/// How long a download address works.
const ADDRESS_LIFE_MS: i64 = 5 * 60 * 1_000;
/// Path of downloads, as on Meta's own media host.
const DOWNLOAD_PATH: &str = "/whatsapp_business/attachments/";
const FIRST_ID: u64 = 1_000_000_000_000_000;
/// Largest upload: the largest file, and the frame around it.
pub(crate) const UPLOAD_BYTES_MAX: usize = FILE_BYTES_MAX + 64 * 1_024;

/// A file to keep.
pub(crate) struct NewFile {
    /// MIME type as declared, parameters included.
    pub(crate) mime_type: String,
    /// Contents.
    pub(crate) bytes: Bytes,
}

/// Whom a file came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Business,
    Person,
}

/// A file that is kept.
struct MediaFile {
    account: u32,
    number: u32,
    mime_type: String,
    sha256: Vec<u8>,
    bytes: Bytes,
    expires_at_ms: i64,
}

/// All files that are kept.
#[derive(Default)]
pub(super) struct Shelf {
    files: HashMap<u64, MediaFile>,
    bytes_held: usize,
    /// How often the same contents came for the same number; part of the id, so that no two files share one.
    copies: HashMap<u64, u64>,
}

impl Shelf {
    fn forget_old(&mut self, now_ms: i64) {
        let held = &mut self.bytes_held;
        self.files.retain(|_, file| {
            let stays = now_ms < file.expires_at_ms;
            if !stays {
                *held -= file.bytes.len();
            }
            stays
        });
    }

    fn remove(&mut self, id: u64) {
        if let Some(file) = self.files.remove(&id) {
            self.bytes_held -= file.bytes.len();
        }
    }

    /// Files kept and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.files.len() as u64, self.bytes_held as u64)
    }
}

impl World {
    /// Keeps a file that a business uploads, once it has passed Meta's checks. Gives its id.
    pub(crate) fn upload(&mut self, now_ms: i64, number: u32, file: NewFile) -> Result<u64, GraphError> {
        let Some(kind) = FileKind::of(&file.mime_type) else {
            return Err(invalid(format!(
                "Param file must be a file with one of the following types: audio/aac, audio/amr, audio/mp4, \
                 audio/mpeg, audio/ogg, image/jpeg, image/png, image/webp, video/3gp, video/mp4, text/plain, \
                 application/pdf and other documents. Received file of type '{}'.",
                file.mime_type
            )));
        };
        if file.bytes.is_empty() {
            return Err(invalid("Param file must not be empty."));
        }
        let bytes_max = kind.bytes_max(&file.bytes);
        if file.bytes.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        self.keep(now_ms, number, file, Origin::Business)
    }

    /// Keeps a file whatever it holds.
    pub(super) fn keep(&mut self, now_ms: i64, number: u32, file: NewFile, origin: Origin) -> Result<u64, GraphError> {
        if self.media.bytes_held + file.bytes.len() > self.media_bytes_max {
            self.media.forget_old(now_ms);
        }
        if self.media.bytes_held + file.bytes.len() > self.media_bytes_max {
            let details = "The simulator's media store is full; delete files, reset it or raise media_bytes_max.";
            return Err(GraphError::new(131_016, details));
        }
        let sha256 = digest(&SHA256, &file.bytes).as_ref().to_vec();
        let number_id = draw::subject(&self.numbers[number as usize].identity.id);
        let content = sha256.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte)) ^ number_id;
        let copies = self.media.copies.entry(content).or_default();
        let id = FIRST_ID + draw::bits(self.seed, Draw::MediaId, content, *copies) % (9 * FIRST_ID);
        *copies += 1;
        let life_ms = match origin {
            Origin::Business => UPLOADED_LIFE_MS,
            Origin::Person => RECEIVED_LIFE_MS,
        };
        self.media.bytes_held += file.bytes.len();
        let kept = MediaFile {
            account: self.account_of(number),
            number,
            mime_type: file.mime_type,
            sha256,
            bytes: file.bytes,
            expires_at_ms: now_ms.saturating_add(life_ms),
        };
        self.media.files.insert(id, kept);
        Ok(id)
    }

    /// The account and number a file belongs to, if there still is one of this id.
    pub(crate) fn media_owner(&self, now_ms: i64, id: &str) -> Option<(u32, u32)> {
        let (_, file) = self.media_file(now_ms, id)?;
        Some((file.account, file.number))
    }

    fn media_file(&self, now_ms: i64, id: &str) -> Option<(u64, &MediaFile)> {
        let id = id.parse().ok()?;
        let file = self.media.files.get(&id)?;
        (now_ms < file.expires_at_ms).then_some((id, file))
    }

    /// `GET /{media-id}`: what the file is, and where it can be fetched for five minutes.
    pub(crate) fn media_node(&self, now_ms: i64, id: &str, base_url: &str) -> Result<Value, GraphError> {
        let (number, file) = self
            .media_file(now_ms, id)
            .ok_or_else(|| GraphError::no_such_object(id))?;
        Ok(json!({
            "messaging_product": "whatsapp",
            "url": self.download_address(now_ms, number, base_url),
            "mime_type": file.mime_type,
            "sha256": hexadecimal(&file.sha256),
            "file_size": file.bytes.len(),
            "id": id,
        }))
    }

    /// What a callback tells about a file that a person sent.
    pub(super) fn received_media(&self, now_ms: i64, id: u64) -> [(&'static str, Value); 4] {
        let file = &self.media.files[&id];
        [
            ("mime_type", json!(file.mime_type)),
            // In base64 here, although the media node shows it in hexadecimal digits.
            ("sha256", json!(STANDARD.encode(&file.sha256))),
            ("id", json!(id.to_string())),
            ("url", json!(self.download_address(now_ms, id, &self.base_url))),
        ]
    }

    fn download_address(&self, now_ms: i64, id: u64, base_url: &str) -> String {
        let until_s = (now_ms + ADDRESS_LIFE_MS).div_euclid(1_000);
        let proof = self.download_proof(id, until_s);
        format!("{base_url}{DOWNLOAD_PATH}?mid={id}&source=getMedia&ext={until_s}&hash={proof}")
    }

    /// Makes a made-up address fail: a client must ask for each one.
    fn download_proof(&self, id: u64, until_s: i64) -> String {
        let bits = draw::bits(self.seed, Draw::MediaAddress, id, until_s as u64);
        format!("{bits:016x}")
    }

    /// Answers a download. Anything that is not there any more is 404; clients ask for a new address then.
    pub(crate) fn download(&self, now_ms: i64, accounts: &[u32], query: &HashMap<String, String>) -> Answer {
        let member = |name| query.get(name).map(String::as_str).unwrap_or_default();
        let until_s: i64 = member("ext").parse().unwrap_or(0);
        let found = self.media_file(now_ms, member("mid")).filter(|(id, file)| {
            now_ms < until_s.saturating_mul(1_000)
                && member("hash") == self.download_proof(*id, until_s)
                && accounts.contains(&file.account)
        });
        match found {
            Some((_, file)) => Answer::file(file.mime_type.clone(), file.bytes.clone()),
            None => Answer::html(404),
        }
    }

    /// `DELETE /{media-id}`.
    pub(crate) fn delete_media(&mut self, now_ms: i64, id: &str) -> Result<(), GraphError> {
        let (id, _) = self
            .media_file(now_ms, id)
            .ok_or_else(|| GraphError::no_such_object(id))?;
        self.media.remove(id);
        Ok(())
    }

    /// Looks at the files a message names: an unknown id, or one of another business, is refused at once; one that
    /// cannot be shown as what it is sent as gives the code the message will fail with.
    pub(super) fn check_media(
        &self,
        now_ms: i64,
        account: u32,
        references: &[MediaReference],
    ) -> Result<Option<u32>, GraphError> {
        let mut fails_with = None;
        for reference in references {
            let MediaSource::Id(id) = &reference.source else {
                continue;
            };
            let file = self
                .media_file(now_ms, id)
                .map(|(_, file)| file)
                .filter(|file| file.account == account)
                .ok_or_else(|| {
                    invalid(format!(
                        "Param {}['id'] is not a valid whatsapp business account media attachment ID",
                        reference.kind
                    ))
                })?;
            let serves = FileKind::of(&file.mime_type).is_some_and(|kind| kind.serves(reference.kind));
            let is_voice = media_kind::essence(&file.mime_type) == "audio/ogg";
            let fits =
                serves && (!reference.voice || is_voice) && media_kind::is_what_it_claims(&file.mime_type, &file.bytes);
            if !fits {
                fails_with = Some(131_053);
            }
        }
        Ok(fails_with)
    }

    /// Files kept and their bytes.
    pub(crate) fn media_size(&self) -> (u64, u64) {
        self.media.size()
    }
}

/// A file larger than its kind allows.
pub(crate) fn too_large(bytes_max: usize) -> GraphError {
    let details = if bytes_max >= 1_024 * 1_024 {
        format!(
            "Media file size too big. Max file size we currently support: {} MB.",
            bytes_max >> 20
        )
    } else {
        format!(
            "Media file size too big. Max file size we currently support: {} KB.",
            bytes_max >> 10
        )
    };
    GraphError::new(131_053, details)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
        text
    })
}
