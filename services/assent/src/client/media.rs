//! `media get`.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use assent_proto::v1::{FileInfo, GetMediaRequest, get_media_response::Part, media_service_client::MediaServiceClient};
use clap::{Args, Subcommand};

use super::{Failure, Service, Target, json};
use crate::output::print;

/// Commands on files.
#[derive(Debug, Subcommand)]
pub(crate) enum MediaCommand {
    /// Save a file that a person sent
    Get(Get),
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

/// Runs a command on files.
pub(crate) async fn media(command: &MediaCommand) -> anyhow::Result<ExitCode> {
    let MediaCommand::Get(get) = command;
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
