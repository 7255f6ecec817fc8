//! A contact: one person in the eyes of one tenant, their aliases, what they agreed to and what they withdrew from.
//!
//! A contact is not a phone number. Its id derives from its first alias, so that two creators collide and one wins; further
//! aliases are bound by events, and two contacts that turn out to be one person are merged.

mod ledger;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use assent_sealed::{AliasHash, Sealed};

pub use self::ledger::{ConsentLedger, Grant, PlatformLedger, Standing, Withdrawal};
use crate::{
    decider::Decider,
    events::{
        AliasBound, ContactEvent, Erased, LedgerSnapshot, Merged, MergedInto, OptInSource, OptOutSource, OptedIn,
        OptedOut, PlatformResumed, PlatformStopSource, PlatformStopped,
    },
    values::{AliasRef, Category, CategorySet, ContactId, ProofText, Timestamp},
};

/// How far a caller's clock may be ahead of ours. An opt-in from further in the future is refused, because it would win
/// over every withdrawal until then.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_mins(5);

/// The rules of consent.
#[derive(Debug, Clone, Copy)]
pub struct ContactDecider;

/// A contact, folded from its stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Contact {
    /// Nothing is known.
    #[default]
    Unknown,
    /// A person.
    Known(KnownContact),
    /// It turned out to be another contact, which goes on for both.
    MergedInto {
        /// The contact that goes on.
        into: ContactId,
        /// How many events its stream has.
        version: u32,
    },
}

/// What is known of a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownContact {
    version: u32,
    consent: BTreeMap<Category, ConsentLedger>,
    platform: PlatformLedger,
    aliases: BTreeMap<AliasHash, AliasRef>,
    absorbed: BTreeSet<ContactId>,
    erased: bool,
}

impl Contact {
    /// The version of the contact's stream: how many events were folded; 0 without events.
    pub fn version(&self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Known(known) => known.version,
            Self::MergedInto { version, .. } => *version,
        }
    }

    /// Whether the person may be written to about `category`. A merged contact has no standing of its own: never.
    pub fn standing(&self, category: Category) -> Standing {
        match self {
            Self::Unknown | Self::MergedInto { .. } => Standing::Never,
            Self::Known(known) => known.ledger(category).standing(),
        }
    }

    /// When the person stopped our marketing within WhatsApp, if they still do.
    pub fn platform_stopped(&self) -> Option<Timestamp> {
        match self {
            Self::Unknown | Self::MergedInto { .. } => None,
            Self::Known(known) => known.platform.stopped(),
        }
    }

    /// The contact that goes on for this one after a merge.
    pub fn merged_into(&self) -> Option<ContactId> {
        match self {
            Self::MergedInto { into, .. } => Some(*into),
            Self::Unknown | Self::Known(_) => None,
        }
    }

    /// Whether the person's data was erased and nothing has been learned of them since.
    pub fn is_erased(&self) -> bool {
        matches!(self, Self::Known(known) if known.erased)
    }

    /// The aliases the person can be found by.
    pub fn aliases(&self) -> impl Iterator<Item = &AliasRef> {
        match self {
            Self::Known(known) => Some(known.aliases.values()),
            Self::Unknown | Self::MergedInto { .. } => None,
        }
        .into_iter()
        .flatten()
    }

    /// What this contact, called `own_id`, brings into a merge.
    pub fn snapshot(&self, own_id: ContactId) -> LedgerSnapshot {
        let Self::Known(known) = self else {
            return LedgerSnapshot::default();
        };
        let mut consent = known.consent.clone();
        for ledger in consent.values_mut() {
            for grant in [&mut ledger.explicit, &mut ledger.imported].into_iter().flatten() {
                grant.contact.get_or_insert(own_id);
            }
        }
        LedgerSnapshot {
            consent,
            platform: known.platform,
            aliases: known.aliases.values().cloned().collect(),
        }
    }
}

impl KnownContact {
    fn ledger(&self, category: Category) -> ConsentLedger {
        self.consent.get(&category).copied().unwrap_or_default()
    }

    fn withdraw(&mut self, categories: &CategorySet, withdrawal: Withdrawal) {
        for category in categories.iter() {
            self.consent.entry(category).or_default().withdraw(withdrawal);
        }
    }
}

/// Which of two contacts that are one person goes on. The same answer whoever asks in which order.
pub fn survivor_of(one: ContactId, other: ContactId) -> ContactId {
    one.min(other)
}

/// What can be wanted of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactCommand {
    /// The person can be found by this alias.
    BindAlias {
        /// The alias.
        alias: AliasRef,
        /// Now.
        at: Timestamp,
    },
    /// The person agreed.
    RecordOptIn {
        /// To messages of which categories.
        categories: CategorySet,
        /// Where it came from.
        source: OptInSource,
        /// How it can be proved.
        proof: Option<Sealed<ProofText>>,
        /// When the person agreed.
        given_at: Timestamp,
        /// Now.
        at: Timestamp,
    },
    /// The person withdrew.
    RecordOptOut {
        /// From messages of which categories; [`CategorySet::all`] for a plain STOP.
        categories: CategorySet,
        /// Where it came from.
        source: OptOutSource,
        /// How it can be proved.
        proof: Option<Sealed<ProofText>>,
        /// When the person withdrew.
        given_at: Timestamp,
        /// Now.
        at: Timestamp,
    },
    /// The person stopped our marketing within WhatsApp. Withdraws the consent for marketing as well.
    RecordPlatformStop {
        /// How we learned of it.
        source: PlatformStopSource,
        /// When the person did so.
        given_at: Timestamp,
        /// Now.
        at: Timestamp,
    },
    /// The person lifted the stop within WhatsApp. Brings no consent back.
    RecordPlatformResume {
        /// When the person did so.
        given_at: Timestamp,
        /// Now.
        at: Timestamp,
    },
    /// Take over another contact that is this person. Goes together with `MergeInto` on that contact, in one append.
    Merge {
        /// The contact that ends.
        from: ContactId,
        /// What it brings along: its [`Contact::snapshot`].
        snapshot: LedgerSnapshot,
        /// Now.
        at: Timestamp,
    },
    /// End in favour of another contact that is this person.
    MergeInto {
        /// The contact that goes on.
        into: ContactId,
        /// Now.
        at: Timestamp,
    },
    /// Forget the person.
    Erase {
        /// When it was asked for.
        requested_at: Timestamp,
        /// Now.
        at: Timestamp,
    },
}

/// Why a command on a contact cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContactRejection {
    /// The contact has ended; ask the one that goes on.
    #[error("this contact was merged into {into}; send the command there")]
    MergedInto {
        /// The contact that goes on.
        into: ContactId,
    },
    /// The opt-in is not later than a withdrawal, or stood on a list.
    #[error(
        "the person withdrew from {categories}; only an opt-in by their own act, later than the withdrawal, brings them back"
    )]
    Withdrawn {
        /// The categories it cannot bring back.
        categories: CategorySet,
    },
    /// The opt-in has not happened yet.
    #[error("the opt-in was given {ahead_ms} ms in the future; at most {} s are allowed for clocks that differ", CLOCK_SKEW_MAX.as_secs())]
    GivenInTheFuture {
        /// How far ahead of our clock, in milliseconds.
        ahead_ms: u64,
    },
    /// A contact cannot be merged with a contact it has taken over already, seen from the other side.
    #[error("contact {from} was already taken over by this one")]
    AlreadyAbsorbed {
        /// The contact that was taken over.
        from: ContactId,
    },
}

impl Decider for ContactDecider {
    type State = Contact;
    type Command = ContactCommand;
    type Event = ContactEvent;
    type Rejection = ContactRejection;

    fn decide(state: &Contact, command: ContactCommand) -> Result<Vec<ContactEvent>, ContactRejection> {
        let unknown = KnownContact::default();
        let known = match state {
            Contact::Unknown => &unknown,
            Contact::Known(known) => known,
            Contact::MergedInto { into, .. } => return decide_after_merge(*into, &command),
        };
        match command {
            ContactCommand::BindAlias { alias, at } => Ok(bind_alias(known, alias, at)),
            ContactCommand::RecordOptIn {
                categories,
                source,
                proof,
                given_at,
                at,
            } => opt_in(
                known,
                OptedIn {
                    categories,
                    source,
                    proof,
                    given_at,
                    recorded_at: at,
                },
            ),
            ContactCommand::RecordOptOut {
                categories,
                source,
                proof,
                given_at,
                at,
            } => {
                let given_at = given_at.min(at);
                Ok(opt_out(
                    known,
                    OptedOut {
                        categories,
                        source,
                        proof,
                        given_at,
                        recorded_at: at,
                    },
                ))
            }
            ContactCommand::RecordPlatformStop { source, given_at, at } => Ok(platform_stop(
                known,
                PlatformStopped {
                    source,
                    given_at: given_at.min(at),
                    recorded_at: at,
                },
            )),
            ContactCommand::RecordPlatformResume { given_at, at } => {
                let given_at = given_at.min(at);
                let is_news = known.platform.resumed_at.is_none_or(|resumed| resumed < given_at);
                Ok(event_if(is_news, || PlatformResumed {
                    given_at,
                    recorded_at: at,
                }))
            }
            ContactCommand::Merge { from, snapshot, at } => Ok(event_if(!known.absorbed.contains(&from), || Merged {
                from,
                snapshot,
                merged_at: at,
            })),
            ContactCommand::MergeInto { into, at } if !known.absorbed.contains(&into) => {
                Ok(vec![MergedInto { into, merged_at: at }.into()])
            }
            ContactCommand::MergeInto { into, .. } => Err(ContactRejection::AlreadyAbsorbed { from: into }),
            ContactCommand::Erase { requested_at, at } => {
                let is_news = !known.erased && known.version > 0;
                Ok(event_if(is_news, || Erased {
                    requested_at,
                    recorded_at: at,
                }))
            }
        }
    }

    fn evolve(state: Contact, event: &ContactEvent) -> Contact {
        let mut known = match state {
            Contact::Unknown => KnownContact::default(),
            Contact::Known(known) => known,
            // Nothing that is said to an ended contact changes it.
            Contact::MergedInto { into, version } => {
                return Contact::MergedInto {
                    into,
                    version: version + 1,
                };
            }
        };
        known.version += 1;
        // Whatever is learned of a person after an erasure can be erased again.
        known.erased = false;
        match event {
            ContactEvent::AliasBound(bound) => {
                known.aliases.insert(bound.alias.hash, bound.alias.clone());
            }
            ContactEvent::OptedIn(opted_in) => {
                let OptedIn { given_at, source, .. } = *opted_in;
                let grant = Grant {
                    given_at,
                    source,
                    version: known.version,
                    contact: None,
                };
                for category in opted_in.categories.iter() {
                    known.consent.entry(category).or_default().grant(grant);
                }
            }
            ContactEvent::OptedOut(opted_out) => {
                let withdrawal = Withdrawal {
                    given_at: opted_out.given_at,
                    source: opted_out.source,
                };
                known.withdraw(&opted_out.categories, withdrawal);
            }
            ContactEvent::PlatformStopped(stopped) => {
                known.platform.stopped_at = known.platform.stopped_at.max(Some(stopped.given_at));
            }
            ContactEvent::PlatformResumed(resumed) => {
                known.platform.resumed_at = known.platform.resumed_at.max(Some(resumed.given_at));
            }
            ContactEvent::Merged(merged) => absorb(&mut known, merged),
            ContactEvent::MergedInto(merged) => {
                return Contact::MergedInto {
                    into: merged.into,
                    version: known.version,
                };
            }
            ContactEvent::Erased(erased) => {
                let withdrawal = Withdrawal {
                    given_at: erased.recorded_at,
                    source: OptOutSource::Erasure,
                };
                known.withdraw(&CategorySet::all(), withdrawal);
                known.aliases.clear();
                known.erased = true;
            }
        }
        Contact::Known(known)
    }
}

fn event_if<E: Into<ContactEvent>>(is_news: bool, event: impl FnOnce() -> E) -> Vec<ContactEvent> {
    if is_news { vec![event().into()] } else { Vec::new() }
}

fn decide_after_merge(into: ContactId, command: &ContactCommand) -> Result<Vec<ContactEvent>, ContactRejection> {
    match command {
        ContactCommand::MergeInto { into: wanted, .. } if *wanted == into => Ok(Vec::new()),
        ContactCommand::BindAlias { .. }
        | ContactCommand::RecordOptIn { .. }
        | ContactCommand::RecordOptOut { .. }
        | ContactCommand::RecordPlatformStop { .. }
        | ContactCommand::RecordPlatformResume { .. }
        | ContactCommand::Merge { .. }
        | ContactCommand::MergeInto { .. }
        | ContactCommand::Erase { .. } => Err(ContactRejection::MergedInto { into }),
    }
}

fn bind_alias(known: &KnownContact, alias: AliasRef, at: Timestamp) -> Vec<ContactEvent> {
    // A hash that was bound without its sealed value is bound again when the value is learned.
    let is_news = known
        .aliases
        .get(&alias.hash)
        .is_none_or(|bound| bound.sealed.is_none() && alias.sealed.is_some());
    event_if(is_news, || AliasBound { alias, bound_at: at })
}

fn opt_in(known: &KnownContact, mut event: OptedIn) -> Result<Vec<ContactEvent>, ContactRejection> {
    let ahead = event.given_at.since(event.recorded_at);
    if ahead > CLOCK_SKEW_MAX {
        return Err(ContactRejection::GivenInTheFuture {
            ahead_ms: ahead.as_millis() as u64,
        });
    }
    event.given_at = event.given_at.min(event.recorded_at);
    let overruled = event.categories.iter().filter(|category| {
        let ledger = known.ledger(*category);
        !ledger.would_count(event.source, event.given_at)
    });
    if let Ok(categories) = CategorySet::try_new(overruled) {
        return Err(ContactRejection::Withdrawn { categories });
    }
    let is_known = event
        .categories
        .iter()
        .all(|category| known.ledger(category).knows_grant(event.source, event.given_at));
    Ok(event_if(!is_known, || event))
}

/// An opt-out is never rejected: a person's no is taken in whatever else is wrong.
fn opt_out(known: &KnownContact, event: OptedOut) -> Vec<ContactEvent> {
    let is_known = event
        .categories
        .iter()
        .all(|category| known.ledger(category).knows_withdrawal(event.given_at));
    event_if(!is_known, || event)
}

fn platform_stop(known: &KnownContact, event: PlatformStopped) -> Vec<ContactEvent> {
    let withdrawal = OptedOut {
        categories: CategorySet::only(Category::Marketing),
        source: OptOutSource::PlatformPreference,
        proof: None,
        given_at: event.given_at,
        recorded_at: event.recorded_at,
    };
    let is_news = known.platform.stopped_at.is_none_or(|stopped| stopped < event.given_at);
    let mut events = event_if(is_news, || event);
    events.extend(opt_out(known, withdrawal));
    events
}

fn absorb(known: &mut KnownContact, merged: &Merged) {
    for category in Category::ALL {
        let theirs = merged.snapshot.consent.get(&category).copied().unwrap_or_default();
        let both = known.ledger(category).merge(theirs);
        if both != ConsentLedger::default() {
            known.consent.insert(category, both);
        }
    }
    known.platform = known.platform.merge(merged.snapshot.platform);
    for alias in &merged.snapshot.aliases {
        known.aliases.entry(alias.hash).or_insert_with(|| alias.clone());
    }
    known.absorbed.insert(merged.from);
}
