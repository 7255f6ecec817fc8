use proptest::prelude::*;

use super::*;
use crate::{
    contact::{ContactCommand, ContactDecider},
    decider::Decider,
    events::{
        AccountChange, AccountChanged, AnnouncedCategory, LiftReason, Lifted, NumberObserved, ObservedFrom,
        OptOutSource, PlatformStopSource, SuppressionEvent, SuspectedBlocked, TemplateChange, TemplateChanged,
        TemplateObserved,
    },
    testing::{at, sender, template, term},
    values::{CategorySet, TenantId, WabaId},
};

/// Everything is in order: an approved template of the category, consent for it, a number that works.
struct Scene {
    now: Timestamp,
    sender: PhoneNumberId,
    number: Option<NumberFacts>,
    template: Option<TemplateRef>,
    template_facts: Option<TemplateFacts>,
    purpose: Option<Category>,
    contact: Contact,
    suppression: SuppressionFacts,
    window: WindowFacts,
}

fn observed(category: Category) -> TemplateObserved {
    TemplateObserved {
        tenant: TenantId::try_new("marlow").unwrap(),
        waba: waba(),
        template: template(),
        template_id: None,
        status: TemplateStatus::Approved,
        category,
        announced: None,
        quality: QualityRating::Green,
        reason: None,
        definition: None,
        observed_from: ObservedFrom::Poll,
        observed_at: at(10),
    }
}

fn number(status: NumberStatus) -> NumberFacts {
    let mut facts = NumberFacts::default();
    let observed = NumberObserved {
        tenant: TenantId::try_new("marlow").unwrap(),
        number: sender(),
        waba: waba(),
        status,
        quality: QualityRating::Green,
        messaging_limit: Some(term("TIER_2K")),
        throughput: None,
        name_status: None,
        observed_from: ObservedFrom::Poll,
        observed_at: at(10),
    };
    facts.observed(&observed, 3);
    facts
}

fn waba() -> WabaId {
    WabaId::try_new("215500000000001").unwrap()
}

fn after(contact: Contact, command: ContactCommand) -> Contact {
    let events = ContactDecider::decide(&contact, command).unwrap();
    events.iter().fold(contact, ContactDecider::evolve)
}

fn opt_in(contact: Contact, category: Category, second: i64) -> Contact {
    let (categories, source) = (CategorySet::only(category), OptInSource::WebForm);
    after(
        contact,
        ContactCommand::RecordOptIn {
            categories,
            source,
            proof: None,
            given_at: at(second),
            at: at(1_000),
        },
    )
}

fn stop(contact: Contact, second: i64) -> Contact {
    let (categories, source) = (CategorySet::all(), OptOutSource::Keyword);
    after(
        contact,
        ContactCommand::RecordOptOut {
            categories,
            source,
            proof: None,
            given_at: at(second),
            at: at(1_000),
        },
    )
}

impl Scene {
    fn template(category: Category) -> Self {
        Self {
            now: at(1_000),
            sender: sender(),
            number: Some(number(NumberStatus::Connected)),
            template: Some(template()),
            template_facts: Some(TemplateFacts::new(&observed(category), 5)),
            purpose: None,
            contact: opt_in(Contact::default(), category, 100),
            suppression: SuppressionFacts::default(),
            window: WindowFacts::default(),
        }
    }

    /// Free-form text to somebody who never agreed to anything and wrote at second 900.
    fn answer() -> Self {
        let mut scene = Self::template(Category::Utility);
        scene.template = None;
        scene.template_facts = None;
        scene.contact = Contact::default();
        scene.window.wrote(at(900));
        scene
    }

    fn judge(&self) -> Judgement {
        judge(&GateInput {
            now: self.now,
            sender: &self.sender,
            number: self.number.as_ref(),
            template: self.template.as_ref(),
            template_facts: self.template_facts.as_ref(),
            asked_language: None,
            purpose: self.purpose,
            contact: &self.contact,
            suppression: &self.suppression,
            window: &self.window,
        })
    }

    fn reasons(&self) -> Vec<RefusalReason> {
        match self.judge() {
            Judgement::Authorized { .. } => Vec::new(),
            Judgement::Refused { refusals } => refusals.iter().map(|refusal| refusal.reason).collect(),
        }
    }
}

#[test]
fn an_authorization_carries_evidence_of_every_gate_in_order() {
    let Judgement::Authorized { category, evidence } = Scene::template(Category::Marketing).judge() else {
        panic!("authorized")
    };
    assert_eq!(category, Category::Marketing);
    let expected = [
        Evidence::Number {
            number: sender(),
            status: NumberStatus::Connected,
            quality: QualityRating::Green,
            messaging_limit: Some(term("TIER_2K")),
            account: AccountState::Active,
            version: 3,
        },
        Evidence::Template {
            template: template(),
            status: TemplateStatus::Approved,
            category: Category::Marketing,
            version: 5,
            asked_language: None,
        },
        Evidence::Purpose {
            purpose: None,
            judged_as: Category::Marketing,
        },
        Evidence::OptIn {
            category: Category::Marketing,
            source: OptInSource::WebForm,
            given_at: at(100),
            version: 1,
            contact: None,
        },
        Evidence::NoPlatformStop { applies: true },
        Evidence::NotSuppressed,
        Evidence::Window { open_until: None },
    ];
    assert_eq!(evidence, expected);
}

#[test]
fn every_refusal_is_reported_and_not_only_the_first() {
    let mut scene = Scene::template(Category::Marketing);
    scene.number = None;
    scene.template_facts = None;
    scene.contact = Contact::default();
    scene.suppression.failed_undeliverable(131_026, at(50));
    let expected = [
        RefusalReason::NumberUnknown,
        RefusalReason::TemplateUnknown,
        RefusalReason::ConsentMissing,
        RefusalReason::RecipientUndeliverable,
    ];
    assert_eq!(scene.reasons(), expected);
}

#[test]
fn a_number_of_which_nothing_was_observed_yet_may_send() {
    let mut scene = Scene::template(Category::Utility);
    scene.number = Some(NumberFacts::default());
    assert_eq!(scene.reasons(), []);
}

#[test]
fn a_restricted_number_may_only_answer() {
    let mut scene = Scene::template(Category::Utility);
    scene.number = Some(number(NumberStatus::Restricted));
    assert_eq!(scene.reasons(), [RefusalReason::NumberRestricted]);
    scene.window.wrote(at(990));
    assert_eq!(scene.reasons(), []);
    scene.number = Some(number(NumberStatus::Banned));
    assert_eq!(scene.reasons(), [RefusalReason::NumberUnavailable]);
}

#[test]
fn an_account_restriction_counts_from_the_callback_until_its_end() {
    let mut scene = Scene::template(Category::Utility);
    let change = |change, second| AccountChanged {
        waba: waba(),
        change,
        provider_at: at(second),
        received_at: at(second),
    };
    let restriction = AccountChange::Restriction {
        restriction: term("RESTRICTED_BIZ_INITIATED_MESSAGING"),
        until: Some(at(2_000)),
    };
    let mut number = NumberFacts::default();
    number.account_changed(&change(restriction, 500));
    // An older word does not lift it.
    number.account_changed(&change(
        AccountChange::Ban {
            state: term("REINSTATE"),
        },
        500,
    ));
    scene.number = Some(number.clone());
    assert_eq!(scene.reasons(), [RefusalReason::AccountRestricted]);
    scene.now = at(2_000);
    assert_eq!(scene.reasons(), []);
    number.account_changed(&change(AccountChange::Ban { state: term("DISABLE") }, 600));
    scene.number = Some(number);
    assert_eq!(scene.reasons(), [RefusalReason::AccountDisabled]);
}

#[test]
fn only_an_approved_template_is_sent() {
    for (word, reason) in [
        ("PAUSED", RefusalReason::TemplatePaused),
        ("DISABLED", RefusalReason::TemplateDisabled),
        ("PENDING", RefusalReason::TemplateNotApproved),
        ("FROBNICATED", RefusalReason::TemplateNotApproved),
    ] {
        let mut scene = Scene::template(Category::Utility);
        let status = TemplateChange::Status {
            status: term(word),
            reason: None,
            title: None,
        };
        scene.template_facts.as_mut().unwrap().changed(&changed(status, 20));
        assert_eq!(scene.reasons(), [reason], "{word}");
    }
}

fn changed(change: TemplateChange, second: i64) -> TemplateChanged {
    TemplateChanged {
        waba: waba(),
        template: template(),
        template_id: None,
        change,
        provider_at: at(second),
        received_at: at(second),
    }
}

#[test]
fn a_pause_and_an_approval_of_the_same_second_end_the_same_in_either_order() {
    let word = |word| {
        changed(
            TemplateChange::Status {
                status: term(word),
                reason: None,
                title: None,
            },
            20,
        )
    };
    for order in [["PAUSED", "APPROVED"], ["APPROVED", "PAUSED"]] {
        let mut facts = TemplateFacts::new(&observed(Category::Utility), 1);
        for name in order {
            facts.changed(&word(name));
        }
        assert_eq!(facts.status, TemplateStatus::Paused);
    }
}

#[test]
fn while_a_change_of_category_is_announced_the_stricter_one_counts() {
    let mut scene = Scene::template(Category::Utility);
    let announced = TemplateChange::CategoryAnnounced {
        current: Some(Category::Utility),
        announced: Category::Marketing,
        effective_at: Some(at(9_000)),
    };
    scene.template_facts.as_mut().unwrap().changed(&changed(announced, 20));
    assert_eq!(
        scene.reasons(),
        [RefusalReason::ConsentMissing],
        "consent was for utility"
    );
    // The other way round the present category is the stricter one.
    let mut scene = Scene::template(Category::Marketing);
    let milder = AnnouncedCategory {
        category: Category::Utility,
        effective_at: None,
    };
    scene.template_facts.as_mut().unwrap().announced = Some(milder);
    assert_eq!(scene.reasons(), []);
}

#[test]
fn a_template_stricter_than_the_purpose_is_refused_and_a_milder_one_is_judged_by_the_purpose() {
    let mut scene = Scene::template(Category::Marketing);
    scene.purpose = Some(Category::Utility);
    assert_eq!(scene.reasons(), [RefusalReason::CategoryStricterThanPurpose]);
    let mut scene = Scene::template(Category::Utility);
    scene.purpose = Some(Category::Marketing);
    assert_eq!(scene.reasons(), [RefusalReason::ConsentMissing]);
}

#[test]
fn a_person_who_writes_first_may_be_answered_but_not_advertised_to() {
    let mut scene = Scene::answer();
    assert_eq!(scene.reasons(), []);
    scene.purpose = Some(Category::Marketing);
    assert_eq!(scene.reasons(), [RefusalReason::ConsentMissing]);
}

#[test]
fn after_stop_only_somebody_who_wrote_again_is_answered() {
    let mut scene = Scene::answer();
    scene.contact = stop(Contact::default(), 900);
    assert_eq!(
        scene.reasons(),
        [RefusalReason::ConsentWithdrawn],
        "the STOP itself is no question"
    );
    scene.window.wrote(at(901));
    assert_eq!(scene.reasons(), []);
}

#[test]
fn the_window_closes_a_minute_before_24_hours_are_over() {
    let mut scene = Scene::answer();
    let closes = at(900) + WINDOW - WINDOW_MARGIN;
    scene.now = closes - std::time::Duration::from_micros(1);
    assert_eq!(scene.reasons(), []);
    scene.now = closes;
    assert_eq!(
        scene.reasons(),
        [RefusalReason::ConsentMissing, RefusalReason::WindowClosed]
    );
}

#[test]
fn meta_saying_that_the_window_is_closed_counts_until_the_person_writes_again() {
    let mut scene = Scene::answer();
    scene.window.was_closed(at(950));
    assert!(scene.reasons().contains(&RefusalReason::WindowClosed));
    scene.window.wrote(at(960));
    assert_eq!(scene.reasons(), []);
}

#[test]
fn a_stop_within_whatsapp_concerns_marketing_only() {
    let source = PlatformStopSource::Error131050;
    let stop = ContactCommand::RecordPlatformStop {
        source,
        given_at: at(200),
        at: at(1_000),
    };
    let mut scene = Scene::template(Category::Marketing);
    scene.contact = after(scene.contact, stop.clone());
    assert_eq!(
        scene.reasons(),
        [RefusalReason::ConsentWithdrawn, RefusalReason::PlatformStopped]
    );
    let mut scene = Scene::template(Category::Utility);
    scene.contact = after(scene.contact, stop);
    assert_eq!(scene.reasons(), []);
}

#[test]
fn a_suspicion_stops_marketing_and_ends_with_a_sign_of_life() {
    let suspected = SuppressionEvent::from(SuspectedBlocked {
        tenant: TenantId::try_new("marlow").unwrap(),
        sent_without_delivery: 3,
        first_sent_at: at(1),
        last_sent_at: at(40),
        last_delivered_at: None,
        concluded_at: at(50),
    });
    let mut scene = Scene::template(Category::Utility);
    scene.suppression.apply(&suspected);
    assert_eq!(scene.reasons(), []);
    let mut scene = Scene::template(Category::Marketing);
    scene.suppression.apply(&suspected);
    assert_eq!(scene.reasons(), [RefusalReason::RecipientSuspectedBlocked]);
    let lifted = Lifted {
        tenant: TenantId::try_new("marlow").unwrap(),
        reason: LiftReason::PersonWrote,
        lifted_at: at(60),
    };
    scene.suppression.apply(&lifted.into());
    assert_eq!(scene.reasons(), []);
}

#[test]
fn an_unreachable_person_is_not_written_to_at_all() {
    let mut scene = Scene::template(Category::Authentication);
    scene.suppression.failed_undeliverable(131_026, at(50));
    assert_eq!(scene.reasons(), [RefusalReason::RecipientUndeliverable]);
    scene.suppression.evidence_of_life(at(49));
    assert_eq!(
        scene.reasons(),
        [RefusalReason::RecipientUndeliverable],
        "older evidence proves nothing"
    );
    scene.suppression.evidence_of_life(at(51));
    assert_eq!(scene.reasons(), []);
}

#[test]
fn every_reason_has_a_stable_name_a_remedy_and_a_place_among_the_gates() {
    assert!(RefusalReason::ALL.map(RefusalReason::gate).is_sorted());
    for reason in RefusalReason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        assert!(reason.remedy().ends_with('.'));
    }
}

fn any_category() -> impl Strategy<Value = Category> {
    proptest::sample::select(Category::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn without_consent_nothing_is_ever_authorized(
        template_category in proptest::option::of(any_category()),
        announced in proptest::option::of(any_category()),
        purpose in proptest::option::of(any_category()),
        consents in proptest::collection::vec((any_category(), 0..500_i64), 0..4),
        stopped in proptest::option::of(0..500_i64),
        wrote in proptest::option::of(0..1_000_i64),
        free_form in any::<bool>(),
    ) {
        let mut scene = Scene::template(template_category.unwrap_or(Category::Utility));
        scene.template_facts = scene.template_facts.filter(|_| template_category.is_some());
        if let (Some(facts), Some(category)) = (&mut scene.template_facts, announced) {
            facts.announced = Some(AnnouncedCategory { category, effective_at: None });
        }
        if free_form {
            scene.template = None;
        }
        scene.purpose = purpose;
        scene.contact = consents.iter().fold(Contact::default(), |contact, (category, at)| opt_in(contact, *category, *at));
        if let Some(second) = stopped {
            scene.contact = stop(scene.contact, second);
        }
        if let Some(second) = wrote {
            scene.window.wrote(at(second));
        }
        if let Judgement::Authorized { category, .. } = scene.judge() {
            let agreed = consents.iter().filter(|(agreed, _)| *agreed == category).map(|(_, at)| *at).max();
            let consented = agreed.is_some_and(|agreed| stopped.is_none_or(|stopped| agreed > stopped));
            let answering = category == Category::Service
                && wrote.is_some_and(|wrote| stopped.is_none_or(|stopped| wrote > stopped));
            prop_assert!(consented || answering);
            // Whatever it is judged as is at least as strict as everything anybody says it is.
            let claims = [purpose, template_category.filter(|_| !free_form), announced.filter(|_| !free_form && template_category.is_some())];
            prop_assert!(claims.into_iter().flatten().all(|claim| !claim.is_stricter_than(category)));
            prop_assert!(!free_form || scene.window.open_until(scene.now).is_some());
        }
    }
}
