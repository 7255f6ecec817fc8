//! Virtual people: who they are and what they agreed to. Drawn by the seed alone.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Share of people who agree to everything; of the others half agree to utility messages only, and half to nothing.
const AGREE_TO_ALL: f64 = 0.84;
/// Share of those who agreed to marketing who write STOP half-way.
const WRITE_STOP: f64 = 0.12;

const NAMES: [&str; 12] = [
    "Ana", "Ben", "Chidi", "Dilan", "Eva", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kim", "Lea",
];

/// What somebody agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Utility and marketing.
    All,
    /// Utility only.
    UtilityOnly,
    /// Nothing was ever recorded.
    Nothing,
}

/// A virtual person.
#[derive(Clone)]
pub(super) struct Person {
    /// A valid German mobile number.
    pub(super) phone: String,
    pub(super) name: &'static str,
    pub(super) consent: Consent,
    writes_stop: bool,
}

/// All of them.
pub(super) struct Crowd(Vec<Person>);

impl Crowd {
    /// Draws people. There is at least one of each consent, and one who writes STOP in the second half.
    pub(super) fn draw(count: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let offset = random.random_range(0..1_000_000_u64);
        let person = |index: usize| {
            // 7,919 has no factor in common with a million, so no two people get the same number.
            let digits = (offset + index as u64 * 7_919) % 1_000_000;
            let consent = match (index, random.random::<f64>()) {
                (0, _) => Consent::UtilityOnly,
                (1, _) => Consent::Nothing,
                (last, _) if last + 1 == count => Consent::All,
                (_, share) if share < AGREE_TO_ALL => Consent::All,
                (_, share) if share < f64::midpoint(AGREE_TO_ALL, 1.0) => Consent::UtilityOnly,
                _ => Consent::Nothing,
            };
            let stops = random.random_bool(WRITE_STOP) || index + 1 == count;
            Person {
                phone: format!("+4915112{digits:06}"),
                name: NAMES[random.random_range(0..NAMES.len())],
                consent,
                // Those of the first half have had their offer already.
                writes_stop: stops && consent == Consent::All && index >= count / 2,
            }
        };
        Self((0..count).map(person).collect())
    }

    pub(super) fn everybody(&self) -> Vec<&Person> {
        self.0.iter().collect()
    }

    /// Those an opt-in is recorded of.
    pub(super) fn agreeing(&self) -> Vec<&Person> {
        self.0
            .iter()
            .filter(|person| person.consent != Consent::Nothing)
            .collect()
    }

    /// The marketing campaign's first and second half.
    pub(super) fn halves(&self) -> (Vec<&Person>, Vec<&Person>) {
        let (first, second) = self.0.split_at(self.0.len() / 2);
        (first.iter().collect(), second.iter().collect())
    }

    /// Those of the second half who write STOP before it goes out.
    pub(super) fn stoppers(&self) -> Vec<&Person> {
        self.0.iter().filter(|person| person.writes_stop).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_domain::values::PhoneNumber;
    use std::collections::BTreeSet;

    #[test]
    fn people_have_valid_numbers_of_their_own() {
        let crowd = Crowd::draw(2_000, 5);
        let numbers: BTreeSet<&str> = crowd.0.iter().map(|person| person.phone.as_str()).collect();
        assert_eq!(numbers.len(), 2_000);
        assert!(numbers.iter().all(|number| PhoneNumber::try_new(number).is_ok()));
    }

    #[test]
    fn a_small_crowd_has_people_of_every_kind() {
        for seed in 0..50 {
            let crowd = Crowd::draw(10, seed);
            let has = |consent| crowd.0.iter().any(|person| person.consent == consent);
            assert!(has(Consent::All) && has(Consent::UtilityOnly) && has(Consent::Nothing));
            let second: BTreeSet<&str> = crowd.halves().1.iter().map(|person| person.phone.as_str()).collect();
            assert!(!crowd.stoppers().is_empty());
            assert!(
                crowd
                    .stoppers()
                    .iter()
                    .all(|person| second.contains(person.phone.as_str()))
            );
        }
    }

    #[test]
    fn one_seed_gives_the_same_people() {
        let phones = |seed| {
            Crowd::draw(40, seed)
                .0
                .into_iter()
                .map(|person| person.phone)
                .collect::<Vec<_>>()
        };
        assert_eq!(phones(3), phones(3));
        assert_ne!(phones(3), phones(4));
    }
}
