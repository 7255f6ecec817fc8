//! Stories: what happens to messages and people, drawn from a seed.

use std::collections::BTreeMap;

use assent_domain::{
    events::{
        Accepted, AcceptedAs, AttemptEvent, AttemptRejected, Authorized, CancelReason, Cancelled, ContactEvent,
        Content, DecisionEvent, DeferReason, Deferred, DomainEvent, Erased, Expired, GaveUpBecause, GivenUp,
        LearnedFrom, LiftReason, Lifted, NumberEvent, NumberObserved, NumberStatus, ObservedFrom, OptInSource,
        OptOutSource, OptedIn, OptedOut, OutcomeUnknown, Pricing, ProviderError, ProviderEvent, ProviderStatus,
        QualityRating, Recipient, Refused, RequestEvent, RetryClass, Started, StatusReported, Submitted,
        SuppressionEvent, SuspectedBlocked, Undeliverable, UnknownCause,
    },
    gates::{Evidence, Refusal, RefusalReason},
    values::{
        AttemptId, Category, CategorySet, ContactId, FieldHash, Fingerprint, MessageId, PhoneNumberId, TemplateRef,
        TenantId, Term, Timestamp, WabaId, WamidHash,
    },
};
use assent_event_store::{EventMeta, NewEvent, StreamId};
use assent_sealed::{AliasHash, KeyId, Sealed};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use uuid::Uuid;

pub(crate) type Event = (StreamId, NewEvent);

pub(crate) const TENANT: &str = "marlow";

pub(crate) fn tenant() -> TenantId {
    TenantId::try_new(TENANT).unwrap()
}

pub(crate) fn message(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(0x1000_0000 + number))
}

pub(crate) fn contact(number: u128) -> ContactId {
    ContactId::new(Uuid::from_u128(0x2000_0000 + number))
}

pub(crate) fn sender(number: u128) -> PhoneNumberId {
    PhoneNumberId::try_new(&format!("31880000000004{number}")).unwrap()
}

/// 20 November 2026, noon, and so many milliseconds.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_795_176_000_000 + millis)
}

pub(crate) fn alias(number: u128) -> AliasHash {
    let mut hash = [7; 32];
    hash[..16].copy_from_slice(&number.to_be_bytes());
    AliasHash(hash)
}

fn sealed<T>() -> Sealed<T> {
    Sealed::from_parts(KeyId(Uuid::from_u128(99)), vec![1; 60])
}

pub(crate) fn event<E: DomainEvent>(key: Uuid, event: impl Into<E>) -> Event {
    let event: E = event.into();
    let meta = EventMeta {
        actor: "service:test".to_owned(),
        tenant: Some(TENANT.to_owned()),
        ..EventMeta::default()
    };
    let new = NewEvent::new(event.wire_name(), event.schema_version(), event.to_json(), &meta);
    (StreamId::new(E::CATEGORY.as_str(), key), new)
}

pub(crate) fn submitted(number: u128, accepted_at: Timestamp) -> Submitted {
    let template = TemplateRef {
        name: format!("order_ready_v{}", number % 3).parse().unwrap(),
        language: "en_US".parse().unwrap(),
    };
    let content = if number.is_multiple_of(10) {
        Content::Text {
            body: sealed(),
            preview_url: false,
        }
    } else {
        Content::Template {
            template,
            components: sealed(),
        }
    };
    let label = |text: &str| Term::try_new(text).unwrap();
    let mut tags = BTreeMap::new();
    if number.is_multiple_of(4) {
        tags.insert(label("shop.name/1"), label(&format!("shop-{}", number % 8)));
    }
    Submitted {
        tenant: tenant(),
        sender: sender(number % 2),
        recipient: Recipient {
            alias: alias(number % 40),
            other_spellings: if number.is_multiple_of(6) {
                vec![alias(1_000 + number)]
            } else {
                Vec::new()
            },
            address: sealed(),
        },
        content,
        refers_to: None,
        purpose: None,
        fingerprint: Fingerprint::new(vec![FieldHash {
            field: label("text"),
            hash: [1; 32],
        }]),
        expires_at: at(86_400_000),
        campaign: number.is_multiple_of(5).then(|| label("autumn")),
        tags,
        fetch_credential: None,
        accepted_at,
    }
}

pub(crate) fn authorized(number: u128, moment: i64) -> Event {
    event::<DecisionEvent>(
        message(number).uuid(),
        Box::new(Authorized {
            contact: contact(number % 40),
            contact_version: 1,
            category: Category::Utility,
            evidence: vec![Evidence::NotSuppressed],
            checked_at: at(moment),
            expires_at: at(86_400_000),
        }),
    )
}

pub(crate) fn refused(number: u128, moment: i64, reasons: &[RefusalReason]) -> Event {
    event::<DecisionEvent>(
        message(number).uuid(),
        Refused {
            contact: contact(number % 40),
            contact_version: 1,
            refusals: reasons.iter().map(|reason| Refusal::new(*reason, "text")).collect(),
            checked_at: at(moment),
        },
    )
}

fn attempt(number: u128) -> AttemptId {
    AttemptId::new(Uuid::from_u128(0x3000_0000 + number))
}

pub(crate) fn of_attempt(number: u128, what: impl Into<AttemptEvent>) -> Event {
    event::<AttemptEvent>(message(number).uuid(), what)
}

pub(crate) fn started(number: u128, moment: i64, nth: u32) -> Event {
    of_attempt(
        number,
        Started {
            attempt: attempt(number),
            number: nth,
            possible_duplicate_of: (nth == 3).then(|| attempt(7)),
            checked_until: at(moment),
            started_at: at(moment),
        },
    )
}

pub(crate) fn accepted(number: u128, moment: i64, accepted_as: AcceptedAs) -> Event {
    of_attempt(
        number,
        Box::new(Accepted {
            attempt: attempt(number),
            wamid_hash: WamidHash([7; 32]),
            wamid: Some(sealed()),
            wa_id_alias: Some(alias(number % 40)),
            wa_id: Some(sealed()),
            user_id_alias: None,
            user_id: None,
            accepted_as,
            learned_from: LearnedFrom::Answer,
            accepted_at: at(moment),
        }),
    )
}

pub(crate) fn rejected(number: u128, moment: i64, code: i64, retry: RetryClass) -> Event {
    of_attempt(
        number,
        AttemptRejected {
            attempt: attempt(number),
            error: ProviderError { code, subcode: None },
            retry,
            rejected_at: at(moment),
        },
    )
}

pub(crate) fn cancelled(number: u128, moment: i64, reason: CancelReason) -> Event {
    of_attempt(
        number,
        Cancelled {
            reason,
            cancelled_at: at(moment),
        },
    )
}

pub(crate) fn reported(number: u128, word: &str, moment: i64, codes: &[i64]) -> Event {
    let pricing = (word == "sent").then(|| Pricing {
        category: Term::from_provider("utility"),
        model: Some(Term::from_provider("PMP")),
        kind: Some(Term::from_provider("regular")),
        billable: Some(true),
    });
    event::<ProviderEvent>(
        message(number).uuid(),
        Box::new(StatusReported {
            number: sender(number % 2),
            message: Some(message(number)),
            attempt: Some(attempt(number)),
            wamid_hash: WamidHash([7; 32]),
            wamid: None,
            recipient: Vec::new(),
            status: ProviderStatus::from_provider(word),
            provider_at: at(moment / 1_000 * 1_000),
            errors: codes
                .iter()
                .map(|code| ProviderError {
                    code: *code,
                    subcode: None,
                })
                .collect(),
            pricing,
            received_at: at(moment + 90),
        }),
    )
}

pub(crate) fn of_contact(number: u128, what: impl Into<ContactEvent>) -> Event {
    event::<ContactEvent>(contact(number).uuid(), what)
}

pub(crate) fn opted_in(number: u128, moment: i64, source: OptInSource) -> Event {
    of_contact(
        number,
        OptedIn {
            categories: CategorySet::all(),
            source,
            proof: None,
            given_at: at(moment),
            recorded_at: at(moment),
        },
    )
}

pub(crate) fn opted_out(number: u128, moment: i64, categories: CategorySet) -> Event {
    of_contact(
        number,
        OptedOut {
            categories,
            source: OptOutSource::Keyword,
            proof: None,
            given_at: at(moment),
            recorded_at: at(moment),
        },
    )
}

pub(crate) fn erased(number: u128, moment: i64) -> Event {
    of_contact(
        number,
        Erased {
            requested_at: at(moment),
            recorded_at: at(moment),
        },
    )
}

pub(crate) fn undeliverable(number: u128, moment: i64, about: u128) -> Event {
    event::<SuppressionEvent>(
        contact(number).uuid(),
        Undeliverable {
            tenant: tenant(),
            code: 131_026,
            message: Some(message(about)),
            failed_at: at(moment),
            concluded_at: at(moment),
        },
    )
}

pub(crate) fn suspected_blocked(number: u128, moment: i64) -> Event {
    event::<SuppressionEvent>(
        contact(number).uuid(),
        SuspectedBlocked {
            tenant: tenant(),
            sent_without_delivery: 3,
            first_sent_at: at(moment - 3_000),
            last_sent_at: at(moment - 1_000),
            last_delivered_at: None,
            concluded_at: at(moment),
        },
    )
}

pub(crate) fn lifted(number: u128, moment: i64) -> Event {
    event::<SuppressionEvent>(
        contact(number).uuid(),
        Lifted {
            tenant: tenant(),
            reason: LiftReason::Delivered,
            lifted_at: at(moment),
        },
    )
}

pub(crate) fn observed(number: u128, moment: i64, quality: QualityRating) -> Event {
    event::<NumberEvent>(
        Uuid::from_u128(0x4000_0000 + number),
        NumberObserved {
            tenant: tenant(),
            number: sender(number),
            waba: WabaId::try_new("215500000000001").unwrap(),
            status: NumberStatus::Connected,
            quality,
            messaging_limit: Some(Term::from_provider("TIER_2K")),
            throughput: None,
            name_status: None,
            observed_from: ObservedFrom::Poll,
            observed_at: at(moment),
        },
    )
}

/// The life of one message up to where Meta's callbacks begin, and those.
fn life(number: u128, random: &mut StdRng) -> (Vec<Event>, Vec<Event>) {
    let key = message(number).uuid();
    let begin = number as i64 * 37_000;
    let mut ours = vec![event::<RequestEvent>(key, Box::new(submitted(number, at(begin))))];
    let mut theirs = Vec::new();
    match random.random_range(0..12) {
        0 => ours.push(refused(
            number,
            begin + 5,
            &[RefusalReason::ConsentMissing, RefusalReason::WindowClosed],
        )),
        1 => ours.push(event::<DecisionEvent>(
            key,
            Expired {
                expired_at: at(begin + 6),
                noticed_at: at(begin + 7),
            },
        )),
        2 => {
            ours.push(authorized(number, begin + 5));
            ours.push(cancelled(number, begin + 9, CancelReason::ConsentWithdrawn));
        }
        3 => {
            ours.push(authorized(number, begin + 5));
            ours.push(started(number, begin + 9, 1));
            ours.push(rejected(number, begin + 12, 132_001, RetryClass::Never));
        }
        4 => {
            ours.push(authorized(number, begin + 5));
            let until = at(begin + 400);
            ours.push(of_attempt(
                number,
                Deferred {
                    reason: DeferReason::PairLimit,
                    until,
                    deferred_at: at(begin + 6),
                },
            ));
            ours.push(started(number, begin + 9, 1));
            ours.push(rejected(number, begin + 12, 130_429, RetryClass::Safe));
            ours.push(started(number, begin + 500, 2));
            ours.push(accepted(number, begin + 600, AcceptedAs::HeldForQualityAssessment));
        }
        5 => {
            ours.push(authorized(number, begin + 5));
            ours.push(started(number, begin + 9, 3));
            ours.push(of_attempt(
                number,
                OutcomeUnknown {
                    attempt: attempt(number),
                    cause: UnknownCause::TimedOut,
                    http_status: None,
                    noticed_at: at(begin + 800),
                },
            ));
            if random.random() {
                ours.push(of_attempt(
                    number,
                    GivenUp {
                        attempt: None,
                        because: GaveUpBecause::Expired,
                        given_up_at: at(begin + 900),
                    },
                ));
            }
            if random.random() {
                theirs.push(reported(number, "sent", begin + 1_000, &[]));
            }
        }
        outcome => {
            ours.push(authorized(number, begin + 5));
            ours.push(started(number, begin + 9, 1));
            ours.push(accepted(number, begin + 60, AcceptedAs::Accepted));
            theirs.push(reported(number, "sent", begin + 1_000, &[]));
            match outcome {
                6 => theirs.push(reported(number, "failed", begin + 2_000, &[131_049, 131_026])),
                7 => theirs.push(reported(number, "deleted", begin + 2_000, &[])),
                _ => {
                    theirs.push(reported(number, "delivered", begin + 2_000, &[]));
                    if outcome > 8 {
                        theirs.push(reported(number, "read", begin + 9_000, &[]));
                    }
                    if outcome == 11 {
                        theirs.push(reported(number, "failed", begin + 3_000, &[131_026]));
                    }
                }
            }
        }
    }
    (ours, theirs)
}

/// A whole story of so many messages: what we did, in order, with Meta's callbacks in between as they came. `disorder` draws
/// how those came: the story is the same, their order and number are not.
pub(crate) fn story(seed: u64, messages: u128, disorder: Option<u64>) -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Vec::new();
    let mut callbacks = Vec::new();
    for number in 0..messages {
        let (ours, theirs) = life(number, &mut random);
        // The request comes first; a callback may overtake everything else.
        let earliest = all.len() + 1;
        all.extend(ours);
        let latest = all.len();
        callbacks.extend(theirs.into_iter().map(|event| (earliest, latest, event)));
        all.extend(of_people(number, &mut random));
    }
    let mut disorder = disorder.map(StdRng::seed_from_u64);
    let mut placed: Vec<(usize, u64, Event)> = Vec::new();
    for (index, (earliest, latest, event)) in callbacks.into_iter().enumerate() {
        match &mut disorder {
            None => placed.push((latest, index as u64, event)),
            Some(random) => {
                for _ in 0..random.random_range(1..=3) {
                    let place = random.random_range(earliest..(latest + 60).min(all.len() + 1));
                    placed.push((place, random.random(), event.clone()));
                }
            }
        }
    }
    placed.sort_by_key(|(place, order, _)| (*place, *order));
    let mut told = Vec::with_capacity(all.len() + placed.len());
    let mut placed = placed.into_iter().peekable();
    for (index, event) in all.into_iter().enumerate() {
        while let Some((_, _, callback)) = placed.next_if(|(place, _, _)| *place <= index) {
            told.push(fresh(callback));
        }
        told.push(event);
    }
    told.extend(placed.map(|(_, _, callback)| fresh(callback)));
    told
}

/// A callback that comes again is another event.
fn fresh((stream, mut event): Event) -> Event {
    event.id = Uuid::now_v7();
    (stream, event)
}

fn of_people(number: u128, random: &mut StdRng) -> Vec<Event> {
    let moment = number as i64 * 37_000 + 20_000;
    let who = random.random_range(0..40);
    let mut events = match random.random_range(0..9) {
        0 => vec![opted_out(who, moment, CategorySet::only(Category::Marketing))],
        1 => vec![opted_out(who, moment, CategorySet::all())],
        2 => vec![opted_in(who, moment, OptInSource::WebForm)],
        3 => vec![undeliverable(who, moment, number)],
        4 => vec![suspected_blocked(who, moment)],
        5 => vec![lifted(who, moment)],
        6 => vec![observed(who % 2, moment, QualityRating::Yellow)],
        7 if number.is_multiple_of(3) => vec![erased(who, moment)],
        _ => Vec::new(),
    };
    events.shuffle(random);
    events
}
