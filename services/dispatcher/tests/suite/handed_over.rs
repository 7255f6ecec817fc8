//! Files that callers hand over, to be sent by Meta's id.

use crate::{
    files::{reason, serving},
    stage::{Stage, number},
};
use assent_proto::v1::{
    UploadInfo, UploadKind, UploadMediaRequest, UploadMediaResponse, media_service_client::MediaServiceClient,
    upload_media_request::Part,
};
use assent_simulator::{Fault, FaultEndpoint, FaultKind};
use std::net::SocketAddr;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

const PICTURE: &[u8] = include_bytes!("../../../simulator/assets/picture.jpg");

fn picture() -> UploadInfo {
    UploadInfo {
        from: number().to_string(),
        kind: UploadKind::Image.into(),
        size_bytes: PICTURE.len() as u64,
        ..UploadInfo::default()
    }
}

fn part(part: Part) -> UploadMediaRequest {
    UploadMediaRequest { part: Some(part) }
}

/// A file in chunks of 1,000 bytes.
fn parts(info: UploadInfo, file: &[u8]) -> Vec<UploadMediaRequest> {
    let chunks = file.chunks(1_000).map(|chunk| part(Part::Chunk(chunk.to_vec())));
    std::iter::once(part(Part::Info(info))).chain(chunks).collect()
}

impl Stage {
    async fn hand_over(
        &self,
        at: SocketAddr,
        key: usize,
        parts: Vec<UploadMediaRequest>,
    ) -> Result<UploadMediaResponse, Status> {
        let mut client = MediaServiceClient::connect(format!("http://{at}")).await.unwrap();
        let mut request = Request::new(futures::stream::iter(parts));
        let bearer = format!("Bearer {}", self.keys[key].key.expose()).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        client.upload_media(request).await.map(tonic::Response::into_inner)
    }

    fn files_at_meta(&self) -> u64 {
        self.simulator.control().report().summary.media_files
    }
}

fn bad_fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_uploaded_once_for_a_number_and_kind_and_can_be_sent() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let first = stage.hand_over(at, 0, parts(picture(), PICTURE)).await.unwrap();
    let again = stage.hand_over(at, 0, parts(picture(), PICTURE)).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(stage.files_at_meta(), 1);
    let as_document = UploadInfo {
        kind: UploadKind::Document.into(),
        filename: "frames.jpg".to_owned(),
        ..picture()
    };
    let document = stage.hand_over(at, 0, parts(as_document, PICTURE)).await.unwrap();
    assert_ne!(document.media_id, first.media_id);
    assert_eq!(stage.files_at_meta(), 2);
    let days = (first.usable_until.unwrap().seconds - time::OffsetDateTime::now_utc().unix_timestamp()) / 86_400;
    assert!((24..=25).contains(&days), "a few days less than Meta's 30: {days}");
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_sent_never_reaches_meta() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let with = |change: fn(&mut UploadInfo)| {
        let mut info = picture();
        change(&mut info);
        info
    };
    let cut = &PICTURE[..PICTURE.len() - 1];
    let named = |info: UploadInfo, file: &[u8]| stage.hand_over(at, 0, parts(info, file));
    for (info, file, fields) in [
        (
            with(|info| {
                info.from = "x".to_owned();
                info.kind = 77;
                info.size_bytes = 0;
                info.filename = "n".repeat(241);
                info.media_type = "m".repeat(256);
            }),
            PICTURE,
            vec![
                "info.from",
                "info.size_bytes",
                "info.kind",
                "info.filename",
                "info.media_type",
            ],
        ),
        (with(|info| info.size_bytes = 6 << 20), PICTURE, vec!["info.size_bytes"]),
        (
            with(|info| info.kind = UploadKind::Sticker.into()),
            PICTURE,
            vec!["chunk"],
        ),
        (picture(), cut, vec!["info.size_bytes"]),
        (with(|info| info.size_bytes -= 1), PICTURE, vec!["info.size_bytes"]),
    ] {
        assert_eq!(bad_fields(&named(info, file).await.unwrap_err()), fields);
    }
    let headless = parts(picture(), PICTURE).split_off(1);
    assert_eq!(
        bad_fields(&stage.hand_over(at, 0, headless).await.unwrap_err()),
        ["info"]
    );
    let mut twice = parts(picture(), PICTURE);
    twice.insert(1, part(Part::Info(picture())));
    assert_eq!(bad_fields(&stage.hand_over(at, 0, twice).await.unwrap_err()), ["info"]);
    let foreign = stage.hand_over(at, 1, parts(picture(), PICTURE)).await.unwrap_err();
    assert_eq!((foreign.code(), &*reason(&foreign)), (Code::NotFound, "NUMBER_UNKNOWN"));
    assert_eq!(stage.files_at_meta(), 0);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_meta_could_not_use_after_all_gets_another_id_when_it_is_handed_over_again() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let first = stage.hand_over(at, 0, parts(picture(), PICTURE)).await.unwrap();
    let phone = stage.somebody();
    stage.opt_in(&phone).await;
    let control = stage.simulator.control();
    control.write_text(&phone.e164(), None, "Is it ready?").unwrap();
    let message = stage.authorized_upload(&phone, &first.media_id).await;
    stage.until_last(message, "accepted").await;
    let failed = stage.failure(&stage.accepted()[0], 131_053).await;
    stage.until_watched(failed).await;
    let again = stage.hand_over(at, 0, parts(picture(), PICTURE)).await.unwrap();
    assert_ne!(again.media_id, first.media_id);
    assert_eq!(stage.files_at_meta(), 2);
    dispatcher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_says_of_a_file_is_passed_on() {
    let stage = Stage::new().await;
    let (dispatcher, at) = serving(&stage, &stage.config).await;
    let fails = |kind, code| Fault {
        next: 1,
        code,
        on: FaultEndpoint::Upload,
        ..Fault::rate(kind, 0.0)
    };
    for (fault, code, word) in [
        (
            fails(FaultKind::DropBeforeAccept, None),
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE",
        ),
        (
            fails(FaultKind::GraphError, Some(130_429)),
            Code::ResourceExhausted,
            "PROVIDER_THROTTLED",
        ),
        (
            fails(FaultKind::GraphError, Some(131_052)),
            Code::FailedPrecondition,
            "PROVIDER_REFUSED",
        ),
    ] {
        stage.fault(fault);
        let refused = stage.hand_over(at, 0, parts(picture(), PICTURE)).await.unwrap_err();
        assert_eq!((refused.code(), &*reason(&refused)), (code, word), "{refused:?}");
    }
    assert_eq!(stage.files_at_meta(), 0);
    dispatcher.stop().await;
}
