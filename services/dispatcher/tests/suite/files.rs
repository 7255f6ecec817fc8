//! Files that people send: fetched, kept sealed, read back.

use crate::stage::{Running, SHARD, Stage, number, tenant};
use assent_dispatcher::Config;
use assent_domain::{
    events::{DomainEvent as _, MediaEvent, MessageReceived, ProviderEvent, ReceivedFile, StreamCategory},
    values::{AliasKind, AliasRef, FileDescription, FileId, PhoneNumber, Term, Wamid},
};
use assent_proto::v1::{FileInfo, GetMediaRequest, get_media_response::Part, media_service_client::MediaServiceClient};
use assent_runtime::{
    config::Secret,
    log,
    streams::{Subject, purpose},
};
use assent_sealed::KeyClass;
use assent_whatsapp::media::ContentHash;
use sqlx::Row as _;
use std::{net::SocketAddr, time::Duration};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

const PICTURE: &[u8] = include_bytes!("../../../simulator/assets/picture.jpg");
const PATIENCE: Duration = Duration::from_secs(40);

impl Stage {
    /// A message with a file, as the ingress would record it.
    async fn receives(&self, phone: &PhoneNumber, file: FileDescription) -> FileId {
        let alias = self.alias(phone);
        let key = self.content_key(alias).await;
        let id = self.platform.file_id(tenant().as_str(), &file.provider_id);
        let from = AliasRef {
            hash: alias,
            kind: AliasKind::Phone,
            sealed: None,
        };
        let received = MessageReceived {
            number: number(),
            wamid_hash: self.platform.wamid_hash(&file.provider_id),
            wamid: key.seal(&Wamid("wamid.1".to_owned()), purpose::WAMID).unwrap(),
            from: vec![from],
            profile_name: None,
            kind: Term::try_new("image").unwrap(),
            text: None,
            payload: None,
            details: None,
            file: Some(ReceivedFile {
                id,
                description: key.seal(&file, purpose::FILE).unwrap(),
            }),
            in_reply_to: None,
            opens_window: true,
            provider_at: log::now(),
            received_at: log::now(),
        };
        self.append(Subject::Person(alias), &[ProviderEvent::from(Box::new(received))])
            .await;
        id
    }

    /// A file that Meta has.
    fn at_meta(&self, bytes: &[u8], media_type: &str) -> FileDescription {
        let control = self.simulator.control();
        FileDescription {
            provider_id: control.add_media(None, media_type, bytes.to_vec()).unwrap(),
            media_type: Some(media_type.to_owned()),
            sha256: Some(ContentHash::of(bytes).to_string()),
            filename: Some("holiday.jpg".to_owned()),
        }
    }

    async fn recorded(&self, file: FileId) -> Vec<MediaEvent> {
        let stream = self.platform.stream_of(StreamCategory::Media, Subject::File(file));
        let events = self.platform.store.read_stream(SHARD, &stream, 0, 100).await.unwrap();
        events.iter().map(|event| log::read(event).unwrap()).collect()
    }

    async fn until_recorded(&self, file: FileId) -> MediaEvent {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut events = self.recorded(file).await;
            if let Some(event) = events.pop() {
                assert!(events.is_empty());
                return event;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "nothing is recorded of the file"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn reads(&self, at: SocketAddr, key: usize, file: &str) -> Result<(FileInfo, Vec<u8>), Status> {
        read(at, &self.keys[key].key, file).await
    }
}

/// What a caller gets who reads a file to its end.
async fn read(at: SocketAddr, key: &Secret, file: &str) -> Result<(FileInfo, Vec<u8>), Status> {
    let mut client = MediaServiceClient::connect(format!("http://{at}")).await.unwrap();
    let file_id = file.to_owned();
    let mut request = Request::new(GetMediaRequest { file_id });
    let bearer = format!("Bearer {}", key.expose()).parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let mut parts = client.get_media(request).await?.into_inner();
    let Some(Part::Info(info)) = parts.message().await?.unwrap().part else {
        panic!("what the file is comes first")
    };
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await? {
        let Some(Part::Chunk(chunk)) = part.part else {
            panic!("what the file is comes once")
        };
        bytes.extend(chunk);
    }
    Ok((info, bytes))
}

pub(crate) fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

pub(crate) async fn serving(stage: &Stage, config: &Config) -> (Running, SocketAddr) {
    let mut dispatcher = stage.dispatcher_with(config).await;
    let at = dispatcher.serve().await;
    (dispatcher, at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_a_person_sends_is_kept_and_read_back() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let file = stage
        .receives(&stage.somebody(), stage.at_meta(PICTURE, "image/jpeg"))
        .await;
    let MediaEvent::Stored(stored) = stage.until_recorded(file).await else {
        panic!("it was not stored")
    };
    assert_eq!(stored.size_bytes, PICTURE.len() as u64);
    assert_eq!(stored.kind.as_str(), "image");
    let (info, bytes) = stage.reads(at, 0, &file.to_string()).await.unwrap();
    assert_eq!(bytes, PICTURE);
    assert_eq!(info.media_type, "image/jpeg");
    assert_eq!(info.size_bytes, PICTURE.len() as u64);
    assert_eq!(info.sha256, ContentHash::of(PICTURE).to_string());
    assert_eq!(info.filename, "holiday.jpg");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_comes_back_in_pieces_and_lies_sealed() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    // Not a multiple of a piece, and no two pieces alike.
    let large: Vec<u8> = (0..1_000_003_u32).flat_map(u32::to_be_bytes).take(1_000_003).collect();
    let file = stage
        .receives(&stage.somebody(), stage.at_meta(&large, "text/plain"))
        .await;
    stage.until_recorded(file).await;
    let (_, bytes) = stage.reads(at, 0, &file.to_string()).await.unwrap();
    assert!(bytes == large);
    let rows = if let Some(pool) = stage.platform.store.postgres() {
        sqlx::query("select sealed from assent_media.pieces")
            .fetch_all(pool)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get::<Vec<u8>, _>(0))
            .collect::<Vec<_>>()
    } else {
        let path = stage.platform.store.sqlite_dir().unwrap().join("media.db");
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display()))
            .await
            .unwrap();
        sqlx::query("select sealed from pieces")
            .fetch_all(&pool)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get::<Vec<u8>, _>(0))
            .collect()
    };
    assert_eq!(rows.len(), 4);
    let beginning = &large[..64];
    assert!(
        rows.iter()
            .all(|row| !row.windows(64).any(|window| window == beginning))
    );
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_person_who_was_erased_cannot_be_read() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let phone = stage.somebody();
    let file = stage.receives(&phone, stage.at_meta(PICTURE, "image/jpeg")).await;
    stage.until_recorded(file).await;
    stage.reads(at, 0, &file.to_string()).await.unwrap();
    let aliases = [stage.alias(&phone)];
    stage.platform.keys.destroy(&aliases, &KeyClass::ALL).await.unwrap();
    let refused = stage.reads(at, 0, &file.to_string()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::NotFound, "FILE_UNKNOWN")
    );
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_person_who_was_erased_first_is_not_fetched() {
    let stage = Stage::new().await;
    let phone = stage.somebody();
    let file = stage.receives(&phone, stage.at_meta(PICTURE, "image/jpeg")).await;
    let aliases = [stage.alias(&phone)];
    stage.platform.keys.destroy(&aliases, &KeyClass::ALL).await.unwrap();
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let MediaEvent::Unavailable(given_up) = stage.until_recorded(file).await else {
        panic!("it was stored")
    };
    assert_eq!(given_up.reason.as_str(), "erased");
    let refused = stage.reads(at, 0, &file.to_string()).await.unwrap_err();
    assert_eq!(reason(&refused), "FILE_UNKNOWN");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_the_files_of_another_tenant_or_what_is_no_file() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let file = stage
        .receives(&stage.somebody(), stage.at_meta(PICTURE, "image/jpeg"))
        .await;
    stage.until_recorded(file).await;
    let file = file.to_string();
    let elsewhere = uuid::Uuid::new_v4().to_string();
    for (key, file, code, expected) in [
        (1, file.as_str(), Code::NotFound, "FILE_UNKNOWN"),
        (0, elsewhere.as_str(), Code::NotFound, "FILE_UNKNOWN"),
        (0, "holiday.jpg", Code::InvalidArgument, "INVALID_REQUEST"),
    ] {
        let refused = stage.reads(at, key, file).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (code, expected));
    }
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_meta_does_not_have_is_given_up_with_the_reason() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let gone = FileDescription {
        provider_id: "4711".to_owned(),
        ..stage.at_meta(PICTURE, "image/jpeg")
    };
    let file = stage.receives(&stage.somebody(), gone).await;
    let MediaEvent::Unavailable(given_up) = stage.until_recorded(file).await else {
        panic!("it was stored")
    };
    assert_eq!((given_up.reason.as_str(), given_up.tries), ("meta_error_100", 1));
    let refused = stage.reads(at, 0, &file.to_string()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let details = refused.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "FILE_UNAVAILABLE");
    assert_eq!(info.metadata["reason"], "meta_error_100");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_the_one_announced_is_not_kept() {
    let stage = Stage::new().await;
    let dispatcher = stage.dispatcher().await;
    let other = FileDescription {
        sha256: Some(ContentHash::of(b"something else").to_string()),
        ..stage.at_meta(PICTURE, "image/jpeg")
    };
    let file = stage.receives(&stage.somebody(), other).await;
    let MediaEvent::Unavailable(given_up) = stage.until_recorded(file).await else {
        panic!("it was stored")
    };
    assert_eq!((given_up.reason.as_str(), given_up.tries), ("hash_mismatch", 3));
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_meta_over_a_kill_and_is_stored_once() {
    let stage = Stage::new().await;
    let mut cut_off = stage.config.clone();
    // Nobody listens on port 1.
    cut_off.meta.base_url = "http://127.0.0.1:1".to_owned();
    let (dispatcher, at) = serving(&stage, &cut_off).await;
    let described = stage.at_meta(PICTURE, "image/jpeg");
    let phone = stage.somebody();
    let file = stage.receives(&phone, described.clone()).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let refused = stage.reads(at, 0, &file.to_string()).await.unwrap_err();
        if reason(&refused) == "FILE_NOT_FETCHED" {
            assert_eq!(refused.code(), Code::Unavailable);
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{refused:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    dispatcher.kill().await;
    // Meta reports it a second time.
    assert_eq!(stage.receives(&phone, described).await, file);
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let stored = stage.until_recorded(file).await;
    assert_eq!(stored.wire_name(), "media.stored");
    let (_, bytes) = stage.reads(at, 0, &file.to_string()).await.unwrap();
    assert_eq!(bytes, PICTURE);
    dispatcher.stop().await;
    assert_eq!(stage.recorded(file).await.len(), 1);
}
