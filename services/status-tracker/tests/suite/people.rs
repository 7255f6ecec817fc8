//! Messages and what became of them, as the services that own these events would record them.

use super::support::{SHARD, Stage};
use assent_domain::{
    events::{
        Authorized, Content, DecisionEvent, FreeForm, MessageReceived, ProviderError, ProviderEvent, ProviderStatus,
        ReceivedFile, Recipient, Reference, RequestEvent, StatusReported, Submitted, SuppressionEvent,
    },
    values::{
        AliasKind, AliasRef, Category, ContactId, FileDescription, FileId, Fingerprint, MessageId, PhoneNumberId, Term,
        TextBody, Timestamp, Wamid,
    },
};
use assent_event_store::RecordedEvent;
use assent_runtime::{
    facts::of_category,
    streams::{Subject, purpose},
};
use assent_sealed::{AliasHash, KeyClass, KeyId, Sealed};
use assent_simulator::DEFAULT_NUMBER_ID;

pub(super) fn at(hours: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + hours * 3_600)
}

pub(super) fn message(number: u128) -> MessageId {
    MessageId::new(uuid::Uuid::from_u128(number))
}

/// The hash of somebody's alias; people are told apart by a byte.
pub(super) fn alias(person: u8) -> AliasHash {
    AliasHash([person; 32])
}

pub(super) fn contact(stage: &Stage, person: u8) -> ContactId {
    stage.platform.contact_id("acme", alias(person))
}

pub(super) fn authorized(contact: ContactId) -> DecisionEvent {
    DecisionEvent::from(Box::new(Authorized {
        contact,
        contact_version: 1,
        category: Category::Marketing,
        evidence: Vec::new(),
        checked_at: at(0),
        expires_at: at(1_000),
    }))
}

pub(super) fn status(message: MessageId, word: &str, when: Timestamp, code: Option<i64>) -> ProviderEvent {
    ProviderEvent::from(Box::new(StatusReported {
        number: PhoneNumberId::try_new(DEFAULT_NUMBER_ID).unwrap(),
        message: Some(message),
        attempt: None,
        wamid_hash: assent_domain::values::WamidHash([1; 32]),
        wamid: None,
        recipient: Vec::new(),
        status: ProviderStatus::from_provider(word),
        provider_at: when,
        errors: code
            .map(|code| ProviderError { code, subcode: None })
            .into_iter()
            .collect(),
        pricing: None,
        received_at: when,
    }))
}

/// Sealed with a key that nobody has: nobody opens it here.
fn nothing<T>() -> Sealed<T> {
    Sealed::from_parts(KeyId(uuid::Uuid::from_u128(1)), vec![0; 40])
}

impl Stage {
    /// A message to a person that was let out.
    pub(super) async fn let_out(&self, id: u128, person: u8) {
        let decision = authorized(contact(self, person));
        self.record("acme", Subject::Message(message(id)), &decision).await;
    }

    /// A reaction to what a person wrote, let out.
    pub(super) async fn react(&self, id: u128, person: u8) {
        let submitted = RequestEvent::from(Box::new(Submitted {
            tenant: super::support::tenant("acme"),
            sender: PhoneNumberId::try_new(DEFAULT_NUMBER_ID).unwrap(),
            recipient: Recipient {
                alias: alias(person),
                other_spellings: Vec::new(),
                address: nothing(),
            },
            content: Content::FreeForm {
                form: FreeForm::Reaction,
                body: nothing(),
            },
            refers_to: Some(Reference {
                message: None,
                wamid: nothing(),
            }),
            fetch_credential: None,
            purpose: None,
            fingerprint: Fingerprint::default(),
            expires_at: at(100),
            campaign: None,
            tags: std::collections::BTreeMap::new(),
            accepted_at: at(0),
        }));
        self.record("acme", Subject::Message(message(id)), &submitted).await;
        self.let_out(id, person).await;
    }

    pub(super) async fn report(&self, id: u128, word: &str, when: Timestamp) {
        self.record(
            "acme",
            Subject::Message(message(id)),
            &status(message(id), word, when, None),
        )
        .await;
    }

    pub(super) async fn fail(&self, id: u128, code: i64, when: Timestamp) {
        let failed = status(message(id), "failed", when, Some(code));
        self.record("acme", Subject::Message(message(id)), &failed).await;
    }

    /// A person writes; what they write is sealed as ingress does it.
    pub(super) async fn write(&self, name: &str, person: u8, text: &str, when: Timestamp) {
        let now = time::OffsetDateTime::now_utc();
        let keys = self
            .platform
            .keys
            .obtain(&[(alias(person), KeyClass::Content)], now)
            .await
            .unwrap();
        let description = FileDescription {
            provider_id: "7710012".to_owned(),
            media_type: Some("application/pdf".to_owned()),
            sha256: None,
            filename: Some("papers.pdf".to_owned()),
        };
        let received = ProviderEvent::from(Box::new(MessageReceived {
            number: PhoneNumberId::try_new(DEFAULT_NUMBER_ID).unwrap(),
            wamid_hash: assent_domain::values::WamidHash([2; 32]),
            wamid: keys[0].seal(&Wamid("wamid.x".to_owned()), purpose::WAMID).unwrap(),
            from: vec![AliasRef {
                hash: alias(person),
                kind: AliasKind::WaId,
                sealed: None,
            }],
            profile_name: None,
            kind: Term::from_provider("text"),
            text: Some(keys[0].seal(&TextBody(text.to_owned()), purpose::INBOUND).unwrap()),
            payload: None,
            details: None,
            file: Some(ReceivedFile {
                id: FileId::new(uuid::Uuid::from_u128(99)),
                description: keys[0].seal(&description, purpose::FILE).unwrap(),
            }),
            in_reply_to: None,
            opens_window: true,
            provider_at: when,
            received_at: when,
        }));
        self.record(name, Subject::Person(alias(person)), &received).await;
    }

    /// The wire names of what was concluded about a person.
    pub(super) async fn concluded(&self, person: u8) -> Vec<String> {
        let key = contact(self, person).uuid();
        let log = self.log().await;
        let about = log
            .into_iter()
            .filter(|event| event.stream.key == key)
            .collect::<Vec<RecordedEvent>>();
        let found = of_category::<SuppressionEvent>(&about);
        found.map(|(recorded, _)| recorded.kind.as_str().to_owned()).collect()
    }

    /// Waits until the decider has kept everything that is in the log now.
    pub(super) async fn decided(&self) {
        let head = self.platform.store.head(SHARD).await.unwrap();
        super::support::eventually("the decider has come this far", || async {
            let position = self.platform.store.checkpoint("tracker-suppression", SHARD).await;
            (position.unwrap() >= head).then_some(())
        })
        .await;
    }
}
