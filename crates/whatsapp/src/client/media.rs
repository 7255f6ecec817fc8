//! Files: upload, info, download, delete (Cloud API, "Media").
//!
//! A file is uploaded to a number and then sent by its id any number of times. Uploading twice makes a second id and
//! changes nothing else, so every call here may be repeated.

use bytes::{Bytes, BytesMut};
use reqwest::header::ACCEPT_ENCODING;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, StatusCode, Url};
use serde_json::Value;

use super::Client;
use super::transport::{CallError, Failure, after_writing, failure_of, send_for_json};
use crate::graph_error::GraphError;
use crate::json::Fields;
use crate::limits;
use crate::media::ContentHash;
use crate::redact::redacted_debug;
use crate::secret::Secret;

/// A file to upload.
#[derive(Clone)]
pub struct MediaFile {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its media type. Meta refuses a type that it does not list, and one that does not fit the bytes.
    pub media_type: String,
    /// A name for it; people never see it, they see the one in the message.
    pub filename: Option<String>,
}

redacted_debug!(MediaFile { media_type });

/// What Meta says of an uploaded or received file.
#[derive(Clone, PartialEq)]
pub struct MediaInfo {
    /// Its id.
    pub id: String,
    /// Where to download it from, with the same token, for five minutes.
    pub url: String,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its hash.
    pub sha256: Option<ContentHash>,
    /// Its size in bytes.
    pub size_bytes: Option<u64>,
}

redacted_debug!(MediaInfo { media_type, size_bytes });

/// Why a file could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The link is older than five minutes or the file is gone: ask for the info again, which tells the two apart.
    #[error("the download link has expired")]
    Expired,
    /// The link leads elsewhere than to an https host or to the configured address, so the token is not sent there.
    #[error("the download link does not lead to Meta")]
    ForeignLink,
    /// The file is larger than what was asked for.
    #[error("the file has more than {bytes_max} bytes")]
    TooLarge {
        /// What was asked for.
        bytes_max: usize,
    },
    /// The bytes are not those that Meta described. Download them again.
    #[error("the downloaded bytes are not those that were described")]
    HashMismatch,
}

impl Client {
    /// Uploads a file for messages of one number and gives its id, which lives for [`limits::UPLOADED_MEDIA_LIFETIME`].
    /// The file is not checked here; see [`crate::media::check`].
    pub async fn upload_media(
        &self,
        phone_number_id: &str,
        token: &Secret,
        file: &MediaFile,
    ) -> Result<String, CallError> {
        let unsendable = |_| CallError::NotSent(super::NotSentReason::BadRequest);
        let length = file.bytes.len() as u64;
        let part = Part::stream_with_length(Body::from(file.bytes.clone()), length)
            .file_name(file.filename.clone().unwrap_or_else(|| "file".to_owned()))
            .mime_str(&file.media_type)
            .map_err(unsendable)?;
        let form = Form::new()
            .text("messaging_product", "whatsapp")
            .text("type", file.media_type.clone())
            .part("file", part);
        let request = self
            .http
            .post(self.url([phone_number_id, "media"]))
            .bearer_auth(token.expose())
            .timeout(limits::MEDIA_TRANSFER_TIMEOUT)
            .multipart(form);
        let answer = send_for_json(request).await?;
        let id = Fields::from_value(answer).and_then(|mut fields| fields.filled_text("id"));
        id.ok_or(CallError::Unreadable { http_status: 200 })
    }

    /// What Meta says of a file. With a number, only if the file belongs to it.
    pub async fn media_info(
        &self,
        media_id: &str,
        phone_number_id: Option<&str>,
        token: &Secret,
    ) -> Result<MediaInfo, CallError> {
        let request = self
            .http
            .get(self.media_url(media_id, phone_number_id))
            .bearer_auth(token.expose());
        let answer = send_for_json(request).await?;
        info_from(answer, media_id).ok_or(CallError::Unreadable { http_status: 200 })
    }

    /// Downloads a file of at most `bytes_max` bytes from the address in its info, and compares its hash.
    pub async fn download_media(
        &self,
        info: &MediaInfo,
        token: &Secret,
        bytes_max: usize,
    ) -> Result<Bytes, DownloadError> {
        let url = self.download_url(&info.url).ok_or(DownloadError::ForeignLink)?;
        let too_large = DownloadError::TooLarge { bytes_max };
        if info.size_bytes.is_some_and(|size| size > bytes_max as u64) {
            return Err(too_large);
        }
        let request = self
            .http
            .get(url)
            .bearer_auth(token.expose())
            .header(ACCEPT_ENCODING, "identity")
            .timeout(limits::MEDIA_TRANSFER_TIMEOUT);
        let mut response = request.send().await.map_err(|error| failure_of(&error))?;
        let status = response.status();
        let is_file = status == StatusCode::OK;
        let most = if is_file { bytes_max } else { limits::ANSWER_BYTES_MAX };
        let expected = response.content_length().unwrap_or_default();
        if expected > most as u64 {
            return Err(too_large);
        }
        let mut body = BytesMut::with_capacity(expected as usize);
        while let Some(chunk) = response.chunk().await.map_err(|error| after_writing(&error))? {
            if body.len() + chunk.len() > most {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        if !is_file {
            return Err(refusal(status, &body));
        }
        if info.sha256.is_some_and(|hash| hash != ContentHash::of(&body)) {
            return Err(DownloadError::HashMismatch);
        }
        Ok(body.freeze())
    }

    /// Deletes an uploaded file. Messages that were sent with it keep it.
    pub async fn delete_media(
        &self,
        media_id: &str,
        phone_number_id: Option<&str>,
        token: &Secret,
    ) -> Result<(), CallError> {
        let request = self
            .http
            .delete(self.media_url(media_id, phone_number_id))
            .bearer_auth(token.expose());
        let answer = send_for_json(request).await?;
        if answer.get("success").and_then(Value::as_bool) == Some(true) {
            return Ok(());
        }
        Err(CallError::Unreadable { http_status: 200 })
    }

    fn media_url(&self, media_id: &str, phone_number_id: Option<&str>) -> Url {
        let mut url = self.url([media_id]);
        if let Some(number) = phone_number_id {
            url.query_pairs_mut().append_pair("phone_number_id", number);
        }
        url
    }

    /// The address of a download, if the token may be sent there.
    fn download_url(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let is_ours = url.scheme() == "https" || url.origin() == self.base.origin();
        (is_ours && url.username().is_empty() && url.password().is_none()).then_some(url)
    }
}

impl From<Failure> for DownloadError {
    fn from(failure: Failure) -> Self {
        Self::Call(failure.into())
    }
}

fn info_from(answer: Value, media_id: &str) -> Option<MediaInfo> {
    let mut fields = Fields::from_value(answer)?;
    Some(MediaInfo {
        url: fields.filled_text("url")?,
        id: fields.filled_text("id").unwrap_or_else(|| media_id.to_owned()),
        media_type: fields.filled_text("mime_type"),
        sha256: fields.text("sha256").as_deref().and_then(ContentHash::from_provider),
        size_bytes: fields.integer("file_size").and_then(|size| u64::try_from(size).ok()),
    })
}

fn refusal(status: StatusCode, body: &[u8]) -> DownloadError {
    if let Some(error) = GraphError::from_answer(body) {
        return CallError::Graph(Box::new(error)).into();
    }
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => DownloadError::Expired,
        status => DownloadError::Call(CallError::Unreadable {
            http_status: status.as_u16(),
        }),
    }
}
