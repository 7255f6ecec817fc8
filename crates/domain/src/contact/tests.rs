use proptest::prelude::*;

use super::*;
use crate::{
    decider::spec::{Given, given},
    testing::{alias, at, contact_id},
};

const NOW: i64 = 1_000;

fn opt_in(source: OptInSource, given_second: i64) -> ContactCommand {
    opt_in_to(CategorySet::only(Category::Marketing), source, given_second)
}

fn opt_in_to(categories: CategorySet, source: OptInSource, given_second: i64) -> ContactCommand {
    ContactCommand::RecordOptIn {
        categories,
        source,
        proof: None,
        given_at: at(given_second),
        at: at(NOW),
    }
}

fn stop(given_second: i64) -> ContactCommand {
    let (categories, source) = (CategorySet::all(), OptOutSource::Keyword);
    ContactCommand::RecordOptOut {
        categories,
        source,
        proof: None,
        given_at: at(given_second),
        at: at(NOW),
    }
}

fn platform_stop(given_second: i64) -> ContactCommand {
    let source = PlatformStopSource::UserPreferences;
    ContactCommand::RecordPlatformStop {
        source,
        given_at: at(given_second),
        at: at(NOW),
    }
}

fn nobody() -> Given<ContactDecider> {
    given(&[])
}

fn may_get_marketing(contact: &Contact) -> bool {
    matches!(contact.standing(Category::Marketing), Standing::Granted(_)) && contact.platform_stopped().is_none()
}

#[test]
fn opting_in_twice_changes_nothing() {
    nobody()
        .after(opt_in(OptInSource::WebForm, 10))
        .when(opt_in(OptInSource::WebForm, 10))
        .then_nothing();
}

#[test]
fn an_opt_in_counts_for_the_categories_it_names_and_no_others() {
    let contact = nobody().after(opt_in(OptInSource::WebForm, 10));
    let Standing::Granted(grant) = contact.state().standing(Category::Marketing) else {
        panic!("granted")
    };
    assert_eq!((grant.version, grant.source), (1, OptInSource::WebForm));
    assert_eq!(contact.state().standing(Category::Utility), Standing::Never);
}

#[test]
fn a_later_opt_in_by_the_persons_own_act_brings_them_back() {
    let contact = nobody().after(stop(10)).after(opt_in(OptInSource::Chat, 11));
    assert!(may_get_marketing(contact.state()));
    assert!(matches!(
        contact.state().standing(Category::Utility),
        Standing::Withdrawn(_)
    ));
}

#[test]
fn an_older_or_concurrent_opt_in_is_rejected_after_stop() {
    for second in [9, 10] {
        let categories = CategorySet::only(Category::Marketing);
        nobody()
            .after(stop(10))
            .when(opt_in(OptInSource::WebForm, second))
            .then_rejected(&ContactRejection::Withdrawn { categories });
    }
}

#[test]
fn an_import_never_brings_anybody_back() {
    let categories = CategorySet::only(Category::Marketing);
    let stopped = nobody().after(stop(10));
    stopped
        .when(opt_in(OptInSource::Import, 500))
        .then_rejected(&ContactRejection::Withdrawn { categories });
    // Nor does one that was recorded before the withdrawal became known.
    let late = nobody().after(opt_in(OptInSource::Import, 500)).after(stop(10));
    assert!(!may_get_marketing(late.state()));
}

#[test]
fn an_opt_in_from_the_future_is_rejected_and_a_stop_from_the_future_counts_now() {
    let rejection = ContactRejection::GivenInTheFuture { ahead_ms: 301_000 };
    nobody()
        .when(opt_in(OptInSource::WebForm, NOW + 301))
        .then_rejected(&rejection);
    let contact = nobody().after(stop(NOW + 10_000));
    let Standing::Withdrawn(withdrawal) = contact.state().standing(Category::Marketing) else {
        panic!("withdrawn")
    };
    assert_eq!(withdrawal.given_at, at(NOW));
}

#[test]
fn a_stop_within_whatsapp_withdraws_marketing_and_resuming_brings_no_consent_back() {
    let stopped = nobody()
        .after(opt_in_to(CategorySet::all(), OptInSource::WebForm, 5))
        .after(platform_stop(10));
    assert_eq!(stopped.state().platform_stopped(), Some(at(10)));
    assert!(matches!(
        stopped.state().standing(Category::Marketing),
        Standing::Withdrawn(_)
    ));
    assert!(matches!(
        stopped.state().standing(Category::Utility),
        Standing::Granted(_)
    ));
    stopped.when(platform_stop(10)).then_nothing();
    let resumed = stopped.after(ContactCommand::RecordPlatformResume {
        given_at: at(20),
        at: at(NOW),
    });
    assert_eq!(resumed.state().platform_stopped(), None);
    assert!(!may_get_marketing(resumed.state()));
    assert!(may_get_marketing(resumed.after(opt_in(OptInSource::Chat, 21)).state()));
}

#[test]
fn an_older_resumption_does_not_lift_a_stop() {
    let resume = ContactCommand::RecordPlatformResume {
        given_at: at(10),
        at: at(NOW),
    };
    let contact = nobody().after(platform_stop(10)).after(resume);
    assert_eq!(contact.state().platform_stopped(), Some(at(10)));
}

#[test]
fn binding_an_alias_twice_changes_nothing_but_its_sealed_value_may_come_later() {
    let bind = |alias| ContactCommand::BindAlias { alias, at: at(1) };
    let hash_only = AliasRef {
        sealed: None,
        ..alias(1)
    };
    let contact = nobody().after(bind(hash_only.clone()));
    contact.when(bind(hash_only)).then_nothing();
    contact.after(bind(alias(1))).when(bind(alias(1))).then_nothing();
}

#[test]
fn an_erased_contact_forgets_its_aliases_and_loses_every_consent() {
    let erase = ContactCommand::Erase {
        requested_at: at(90),
        at: at(100),
    };
    nobody().when(erase.clone()).then_nothing();
    let contact = nobody()
        .after(ContactCommand::BindAlias {
            alias: alias(1),
            at: at(1),
        })
        .after(opt_in_to(CategorySet::all(), OptInSource::WebForm, 5))
        .after(erase.clone());
    assert!(contact.state().is_erased());
    assert_eq!(contact.state().aliases().count(), 0);
    assert!(
        Category::ALL
            .iter()
            .all(|c| matches!(contact.state().standing(*c), Standing::Withdrawn(_)))
    );
    contact.when(erase.clone()).then_nothing();
    // The person may come back by their own act, and may be erased again.
    let back = contact.after(opt_in(OptInSource::WebForm, 200));
    assert!(may_get_marketing(back.state()) && !back.state().is_erased());
    assert!(back.after(erase).state().is_erased());
}

/// What a contact is after it took over another one, and what it rests on.
fn merged(one: &Contact, other: &Contact) -> Contact {
    let snapshot = other.snapshot(contact_id(2));
    let command = ContactCommand::Merge {
        from: contact_id(2),
        snapshot,
        at: at(NOW),
    };
    let events = ContactDecider::decide(one, command).unwrap();
    events.iter().fold(one.clone(), ContactDecider::evolve)
}

#[test]
fn a_merge_keeps_the_withdrawal_of_either_contact_even_against_a_later_opt_in_of_the_other() {
    let agreed = nobody().after(opt_in(OptInSource::WebForm, 50));
    let stopped = nobody().after(stop(10));
    for both in [
        merged(agreed.state(), stopped.state()),
        merged(stopped.state(), agreed.state()),
    ] {
        assert!(matches!(both.standing(Category::Marketing), Standing::Withdrawn(_)));
        let again = ContactDecider::decide(&both, opt_in(OptInSource::WebForm, 51)).unwrap();
        assert!(may_get_marketing(&again.iter().fold(both, ContactDecider::evolve)));
    }
}

#[test]
fn evidence_from_a_merged_contact_names_the_contact_it_stands_in() {
    let agreed = nobody().after(opt_in(OptInSource::WebForm, 50));
    let both = merged(&Contact::default(), agreed.state());
    let Standing::Granted(grant) = both.standing(Category::Marketing) else {
        panic!("granted")
    };
    assert_eq!((grant.contact, grant.version), (Some(contact_id(2)), 1));
}

#[test]
fn a_merged_contact_sends_every_command_to_the_one_that_goes_on() {
    let merge = ContactCommand::MergeInto {
        into: contact_id(1),
        at: at(1),
    };
    let ended = nobody().after(opt_in(OptInSource::WebForm, 5)).after(merge.clone());
    assert_eq!(
        (ended.state().merged_into(), ended.state().version()),
        (Some(contact_id(1)), 2)
    );
    assert_eq!(ended.state().standing(Category::Marketing), Standing::Never);
    ended.when(merge).then_nothing();
    ended
        .when(stop(10))
        .then_rejected(&ContactRejection::MergedInto { into: contact_id(1) });
}

#[test]
fn two_contacts_are_not_merged_into_each_other() {
    let merge = |number| ContactCommand::Merge {
        from: contact_id(number),
        snapshot: LedgerSnapshot::default(),
        at: at(1),
    };
    let contact = nobody().after(merge(2));
    contact.when(merge(2)).then_nothing();
    contact
        .when(ContactCommand::MergeInto {
            into: contact_id(2),
            at: at(2),
        })
        .then_rejected(&ContactRejection::AlreadyAbsorbed { from: contact_id(2) });
    assert_eq!(
        survivor_of(contact_id(1), contact_id(2)),
        survivor_of(contact_id(2), contact_id(1))
    );
}

fn any_categories() -> impl Strategy<Value = CategorySet> {
    proptest::sample::subsequence(Category::ALL.to_vec(), 1..=4).prop_map(|list| CategorySet::try_new(list).unwrap())
}

/// Few moments, so that ties and reversals are common.
fn any_command() -> impl Strategy<Value = ContactCommand> {
    let second = 0..12_i64;
    let source = prop_oneof![
        Just(OptInSource::WebForm),
        Just(OptInSource::Chat),
        Just(OptInSource::Import)
    ];
    prop_oneof![
        4 => (any_categories(), source, second.clone())
            .prop_map(|(categories, source, given)| opt_in_to(categories, source, given)),
        3 => (any_categories(), second.clone()).prop_map(|(categories, given)| ContactCommand::RecordOptOut {
            categories,
            source: OptOutSource::Button,
            proof: None,
            given_at: at(given),
            at: at(NOW),
        }),
        1 => second.clone().prop_map(platform_stop),
        1 => second.clone().prop_map(|given| ContactCommand::RecordPlatformResume { given_at: at(given), at: at(NOW) }),
        1 => (0..3_u8).prop_map(|byte| ContactCommand::BindAlias { alias: alias(byte), at: at(NOW) }),
        1 => second.clone().prop_map(|given| ContactCommand::Erase { requested_at: at(given), at: at(given) }),
        1 => (5..8_u128).prop_map(|number| ContactCommand::Merge {
            from: contact_id(number),
            snapshot: LedgerSnapshot::default(),
            at: at(NOW),
        }),
        1 => (8..10_u128).prop_map(|number| ContactCommand::MergeInto { into: contact_id(number), at: at(NOW) }),
    ]
}

fn any_contact() -> impl Strategy<Value = Contact> {
    proptest::collection::vec(any_command(), 0..8).prop_map(|commands| {
        commands.into_iter().fold(Contact::default(), |state, command| {
            let events = ContactDecider::decide(&state, command).unwrap_or_default();
            events.iter().fold(state, ContactDecider::evolve)
        })
    })
}

/// What matters of a contact, without where in the log it stands.
fn effect(contact: &Contact) -> Vec<(bool, bool)> {
    let stopped = contact.platform_stopped().is_some();
    Category::ALL
        .iter()
        .map(|c| (matches!(contact.standing(*c), Standing::Granted(_)), stopped))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_decided_evolves_and_is_already_so_the_second_time(contact in any_contact(), command in any_command()) {
        if let Ok(events) = ContactDecider::decide(&contact, command.clone()) {
            let count = events.len() as u32;
            let after = events.iter().fold(contact.clone(), ContactDecider::evolve);
            prop_assert_eq!(after.version(), contact.version() + count);
            prop_assert_eq!(ContactDecider::decide(&after, command), Ok(Vec::new()));
        }
    }

    #[test]
    fn stop_wins_over_every_opt_in_that_is_not_later(
        before in proptest::collection::vec((any::<bool>(), 0..=10_i64), 0..6),
        after in proptest::collection::vec((any::<bool>(), 0..=10_i64), 0..6),
    ) {
        let command = |(is_import, given)| opt_in(if is_import { OptInSource::Import } else { OptInSource::WebForm }, given);
        let commands = before.into_iter().map(command).chain([stop(10)]).chain(after.into_iter().map(command));
        let contact = commands.fold(Contact::default(), |state, command| {
            let events = ContactDecider::decide(&state, command).unwrap_or_default();
            events.iter().fold(state, ContactDecider::evolve)
        });
        prop_assert!(!may_get_marketing(&contact));
    }

    #[test]
    fn the_order_in_which_consents_and_withdrawals_become_known_does_not_matter(
        facts in proptest::collection::vec((0..3_u8, 0..6_i64), 0..7).prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
    ) {
        let fold = |facts: Vec<(u8, i64)>| facts.into_iter().fold(ConsentLedger::default(), |mut ledger, (kind, second)| {
            let source = if kind == 0 { OptInSource::Import } else { OptInSource::WebForm };
            if kind == 2 {
                ledger.withdraw(Withdrawal { given_at: at(second), source: OptOutSource::Keyword });
            } else {
                ledger.grant(Grant { given_at: at(second), source, version: 1, contact: None });
            }
            ledger
        });
        prop_assert_eq!(fold(facts.0), fold(facts.1));
    }

    #[test]
    fn a_merge_is_the_same_from_either_side_and_allows_nothing_that_either_forbade(
        one in any_contact(),
        other in any_contact(),
    ) {
        prop_assume!(one.merged_into().is_none() && other.merged_into().is_none());
        let both = merged(&one, &other);
        prop_assert_eq!(effect(&both), effect(&merged(&other, &one)));
        for category in Category::ALL {
            let withdrawn = |contact: &Contact| matches!(contact.standing(category), Standing::Withdrawn(_));
            let granted = |contact: &Contact| matches!(contact.standing(category), Standing::Granted(_));
            prop_assert_eq!(withdrawn(&both), withdrawn(&one) || withdrawn(&other));
            prop_assert!(!granted(&both) || granted(&one) || granted(&other));
        }
        prop_assert_eq!(both.platform_stopped().is_some(), one.platform_stopped().is_some() || other.platform_stopped().is_some());
    }
}
