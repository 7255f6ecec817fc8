//! `media get` and `media upload`.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use assent_proto::v1::{
    FileInfo, GetMediaRequest, UploadInfo, UploadKind, UploadMediaRequest, get_media_response::Part,
    media_service_client::MediaServiceClient, upload_media_request,
};
use clap::{Args, Subcommand, ValueEnum};
use tokio_stream::wrappers::ReceiverStream;

use super::{Failure, Service, Target, json};
use crate::output::print;

/// Bytes of a file that are sent at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Commands on files.
#[derive(Debug, Subcommand)]
pub(crate) enum MediaCommand {
    /// Save a file that a person sent
    Get(Get),
    /// Hand a file to Meta, so that messages can carry it by its id
    Upload(Upload),
}

/// `assent media get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The file's id, from `assent events tail`
    file_id: String,
    /// Where to save it; a file that is there stays as it is
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// `assent media upload`.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The file
    file: PathBuf,
    /// Meta's id of the number it will be sent from
    #[arg(long, value_name = "PHONE_NUMBER_ID", env = "ASSENT_FROM")]
    from: String,
    /// What it will be sent as
    #[arg(long = "as", value_enum, value_name = "KIND")]
    kind: KindName,
    /// Media type of a document whose contents and name do not say, e.g. text/csv
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindName {
    Image,
    Sticker,
    Audio,
    Voice,
    Video,
    Document,
}

impl From<KindName> for UploadKind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Image => Self::Image,
            KindName::Sticker => Self::Sticker,
            KindName::Audio => Self::Audio,
            KindName::Voice => Self::Voice,
            KindName::Video => Self::Video,
            KindName::Document => Self::Document,
        }
    }
}

/// Runs a command on files.
pub(crate) async fn media(command: &MediaCommand) -> anyhow::Result<ExitCode> {
    match command {
        MediaCommand::Get(command) => get(command).await,
        MediaCommand::Upload(command) => upload(command).await,
    }
}

async fn upload(upload: &Upload) -> anyhow::Result<ExitCode> {
    let path = upload.file.display();
    let mut file = File::open(&upload.file).with_context(|| format!("{path} cannot be opened"))?;
    let size_bytes = file.metadata().with_context(|| format!("{path} cannot be read"))?.len();
    let info = UploadInfo {
        from: upload.from.clone(),
        kind: UploadKind::from(upload.kind).into(),
        size_bytes,
        filename: upload
            .file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        media_type: upload.media_type.clone().unwrap_or_default(),
    };
    let (parts, sent) = tokio::sync::mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || {
        let mut part = upload_media_request::Part::Info(info);
        // Whoever refused it has said why already, and takes no more.
        while parts.blocking_send(UploadMediaRequest { part: Some(part) }).is_ok() {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = file.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            chunk.truncate(read);
            part = upload_media_request::Part::Chunk(chunk);
        }
        Ok::<_, io::Error>(())
    });
    let mut client = MediaServiceClient::new(upload.target.connect_for_stream(Service::Media).await?);
    let answer = client.upload_media(ReceiverStream::new(sent)).await;
    reading.await?.with_context(|| format!("{path} cannot be read"))?;
    let uploaded = answer.map_err(Failure::from)?.into_inner();
    print(&if upload.target.json {
        json::line("UploadMediaResponse", &uploaded)?
    } else {
        uploaded.media_id
    });
    Ok(ExitCode::SUCCESS)
}

async fn get(get: &Get) -> anyhow::Result<ExitCode> {
    let path = get.output.display();
    let mut file = File::create_new(&get.output).with_context(|| format!("{path} cannot be made"))?;
    let info = match save(get, &mut file).await {
        Ok(info) => info,
        Err(error) => {
            // Half a file is worse than none.
            drop(file);
            fs::remove_file(&get.output).with_context(|| format!("{path} holds a part of the file"))?;
            return Err(error);
        }
    };
    print(&if get.target.json {
        json::line("FileInfo", &info)?
    } else {
        format!("{path}: {} bytes, {}", info.size_bytes, info.media_type)
    });
    Ok(ExitCode::SUCCESS)
}

async fn save(get: &Get, file: &mut File) -> anyhow::Result<FileInfo> {
    let mut client = MediaServiceClient::new(get.target.connect_for_stream(Service::Media).await?);
    let file_id = get.file_id.clone();
    let parts = client.get_media(GetMediaRequest { file_id }).await;
    let mut parts = parts.map_err(Failure::from)?.into_inner();
    let mut info = None;
    while let Some(part) = parts.message().await.map_err(Failure::from)? {
        match part.part {
            Some(Part::Info(described)) => info = Some(described),
            Some(Part::Chunk(chunk)) => file.write_all(&chunk).context("the disk takes no more")?,
            None => {}
        }
    }
    match info {
        Some(info) => Ok(info),
        None => bail!("the answer did not say what the file is"),
    }
}
