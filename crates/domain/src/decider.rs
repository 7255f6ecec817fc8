//! The shape every rule of this crate has: decide, evolve, and a state that starts empty.

/// A rule book over one stream of events.
///
/// Static, without boxes and without async: what a decider needs to know comes in its state (folded from the stream) and
/// in its command (which brings the time and the ids along).
pub trait Decider {
    /// What later decisions read; `Default` is the state of a stream without events.
    type State: Default;
    /// What somebody wants.
    type Command;
    /// What happened.
    type Event;
    /// Why a command cannot be obeyed. The caller's fault; stores nothing. A business refusal that must be shown later is
    /// an event instead.
    type Rejection;

    /// What happens if `command` is obeyed in `state`. An empty list means that it is already so.
    fn decide(state: &Self::State, command: Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after `event`. Total: history is a fact, so no event is refused.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;

    /// The state after a whole history.
    fn fold<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self::State
    where
        Self::Event: 'a,
    {
        events.into_iter().fold(Self::State::default(), Self::evolve)
    }
}

/// Given–when–then, so that the tests of a decider read as sentences.
#[cfg(test)]
pub(crate) mod spec {
    use std::fmt::Debug;

    use super::Decider;

    /// A state reached by a history.
    pub(crate) struct Given<D: Decider> {
        state: D::State,
    }

    /// What a command led to.
    #[derive(Debug)]
    pub(crate) struct Then<D: Decider>
    where
        D::Event: Debug,
        D::Rejection: Debug,
    {
        outcome: Result<Vec<D::Event>, D::Rejection>,
    }

    /// Starts a sentence with the events that happened before.
    pub(crate) fn given<D: Decider>(events: &[D::Event]) -> Given<D> {
        Given { state: D::fold(events) }
    }

    impl<D: Decider> Given<D>
    where
        D::Event: Debug + PartialEq,
        D::Rejection: Debug + PartialEq,
    {
        /// Obeys a command that must be accepted, and goes on from there.
        pub(crate) fn after(self, command: D::Command) -> Self {
            let events = D::decide(&self.state, command).expect("the command before the tested one is accepted");
            Self {
                state: events.iter().fold(self.state, D::evolve),
            }
        }

        /// Gives the command.
        pub(crate) fn when(&self, command: D::Command) -> Then<D> {
            Then {
                outcome: D::decide(&self.state, command),
            }
        }

        /// The state reached.
        pub(crate) fn state(&self) -> &D::State {
            &self.state
        }
    }

    impl<D: Decider> Then<D>
    where
        D::Event: Debug + PartialEq,
        D::Rejection: Debug + PartialEq,
    {
        /// Exactly these events happened.
        #[track_caller]
        pub(crate) fn then(self, expected: &[D::Event]) {
            assert_eq!(self.outcome.expect("the command is accepted"), expected);
        }

        /// It was already so.
        #[track_caller]
        pub(crate) fn then_nothing(self) {
            self.then(&[]);
        }

        /// What came of the command, to look at more closely.
        pub(crate) fn into_outcome(self) -> Result<Vec<D::Event>, D::Rejection> {
            self.outcome
        }

        /// The command was rejected so.
        #[track_caller]
        pub(crate) fn then_rejected(self, expected: &D::Rejection) {
            assert_eq!(self.outcome.as_ref().err(), Some(expected), "{:?}", self.outcome);
        }
    }
}
