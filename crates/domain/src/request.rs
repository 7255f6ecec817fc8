//! A request for a message, and the promise that the same key always gets the same answer.

use crate::{
    decider::Decider,
    events::{CancelRequested, RequestEvent, Submitted},
    values::{Fingerprint, Term, Timestamp},
};

/// The rules of taking requests.
#[derive(Debug, Clone, Copy)]
pub struct RequestDecider;

/// A request, folded from its stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Request {
    /// Nobody asked.
    #[default]
    Absent,
    /// A message was asked for.
    Submitted {
        /// What the request said.
        fingerprint: Fingerprint,
    },
    /// A message was asked for, and asked not to be sent.
    CancelRequested {
        /// What the request said.
        fingerprint: Fingerprint,
    },
}

/// What can be wanted of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestCommand {
    /// Take it in.
    Submit(Box<Submitted>),
    /// Do not send it after all.
    Cancel {
        /// Now.
        at: Timestamp,
    },
}

/// Why a command on a request cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestRejection {
    /// The key was used for another request.
    #[error("the idempotency key was used for a request that differs in: {}", names(fields))]
    Different {
        /// The fields that differ, in alphabetical order.
        fields: Vec<Term>,
    },
    /// There is no such request.
    #[error("there is no such request")]
    Absent,
}

fn names(fields: &[Term]) -> String {
    fields.iter().map(Term::as_str).collect::<Vec<_>>().join(", ")
}

impl Decider for RequestDecider {
    type State = Request;
    type Command = RequestCommand;
    type Event = RequestEvent;
    type Rejection = RequestRejection;

    fn decide(state: &Request, command: RequestCommand) -> Result<Vec<RequestEvent>, RequestRejection> {
        match (state, command) {
            (Request::Absent, RequestCommand::Submit(submitted)) => Ok(vec![submitted.into()]),
            (
                Request::Submitted { fingerprint } | Request::CancelRequested { fingerprint },
                RequestCommand::Submit(submitted),
            ) => {
                let fields = fingerprint.differing_fields(&submitted.fingerprint);
                if fields.is_empty() {
                    Ok(Vec::new())
                } else {
                    Err(RequestRejection::Different { fields })
                }
            }
            (Request::Absent, RequestCommand::Cancel { .. }) => Err(RequestRejection::Absent),
            (Request::Submitted { .. }, RequestCommand::Cancel { at }) => {
                Ok(vec![CancelRequested { requested_at: at }.into()])
            }
            (Request::CancelRequested { .. }, RequestCommand::Cancel { .. }) => Ok(Vec::new()),
        }
    }

    fn evolve(state: Request, event: &RequestEvent) -> Request {
        match (state, event) {
            (Request::Absent, RequestEvent::Submitted(submitted)) => Request::Submitted {
                fingerprint: submitted.fingerprint.clone(),
            },
            (Request::Submitted { fingerprint }, RequestEvent::CancelRequested(_)) => {
                Request::CancelRequested { fingerprint }
            }
            (state, RequestEvent::Submitted(_) | RequestEvent::CancelRequested(_)) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decider::spec::given,
        testing::{at, submitted, submitted_with},
    };

    fn submit(request: Submitted) -> RequestCommand {
        RequestCommand::Submit(Box::new(request))
    }

    #[test]
    fn the_same_request_under_the_same_key_changes_nothing() {
        let mut later = submitted();
        later.accepted_at = at(500);
        let first = given::<RequestDecider>(&[]).after(submit(submitted()));
        first.when(submit(later.clone())).then_nothing();
        first
            .after(RequestCommand::Cancel { at: at(3) })
            .when(submit(later))
            .then_nothing();
    }

    #[test]
    fn another_request_under_the_same_key_names_the_fields_that_differ() {
        let rejection = RequestRejection::Different {
            fields: vec![Term::try_new("text").unwrap()],
        };
        assert!(rejection.to_string().ends_with("differs in: text"));
        given::<RequestDecider>(&[])
            .after(submit(submitted()))
            .when(submit(submitted_with("text", 9)))
            .then_rejected(&rejection);
    }

    #[test]
    fn cancelling_twice_changes_nothing_and_cancelling_nothing_is_rejected() {
        let cancel = RequestCommand::Cancel { at: at(3) };
        given::<RequestDecider>(&[])
            .when(cancel.clone())
            .then_rejected(&RequestRejection::Absent);
        let submitted = given::<RequestDecider>(&[]).after(submit(submitted()));
        submitted
            .when(cancel.clone())
            .then(&[CancelRequested { requested_at: at(3) }.into()]);
        submitted.after(cancel.clone()).when(cancel).then_nothing();
    }
}
