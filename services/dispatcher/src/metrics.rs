//! What the dispatcher counts.

use metrics::{counter, gauge, histogram};
use std::time::Duration;

/// An attempt was made durable.
pub(crate) fn started(number: u32) {
    counter!("assent_dispatcher_attempts_started_total", "retry" => if number > 1 { "yes" } else { "no" }).increment(1);
}

/// A call came to an end. `outcome` is one of a closed set.
pub(crate) fn called(outcome: &'static str, took: Duration) {
    counter!("assent_dispatcher_outcomes_total", "outcome" => outcome).increment(1);
    histogram!("assent_dispatcher_call_seconds").record(took.as_secs_f64());
}

/// A call begins or ends.
pub(crate) fn calls_in_flight(change: f64) {
    gauge!("assent_dispatcher_calls_in_flight").increment(change);
}

/// A message was stopped before it left.
pub(crate) fn cancelled(reason: &'static str) {
    counter!("assent_dispatcher_cancelled_total", "reason" => reason).increment(1);
}

/// A message is not tried any more.
pub(crate) fn given_up(reason: &'static str) {
    counter!("assent_dispatcher_given_up_total", "reason" => reason).increment(1);
}

/// A message waits for another try.
pub(crate) fn deferred(reason: &'static str) {
    counter!("assent_dispatcher_deferred_total", "reason" => reason).increment(1);
}

/// An event or message that nothing can be done with.
pub(crate) fn skipped(reason: &'static str) {
    counter!("assent_dispatcher_skipped_total", "reason" => reason).increment(1);
}

/// An outcome that was unknown became known.
pub(crate) fn settled(how: &'static str) {
    counter!("assent_dispatcher_settled_total", "by" => how).increment(1);
}

/// A slice was judged.
pub(crate) fn slice(messages: usize) {
    histogram!("assent_dispatcher_slice_messages").record(messages as f64);
}

/// How many messages are open.
pub(crate) fn open(shard: u16, messages: usize) {
    gauge!("assent_dispatcher_open_messages", "shard" => shard.to_string()).set(messages as f64);
}

/// Something was found out about a file that a person sent. `reason` is one of a closed set.
pub(crate) fn file(outcome: &'static str, reason: &'static str) {
    counter!("assent_dispatcher_files_total", "outcome" => outcome, "reason" => reason).increment(1);
}

/// Stored files were removed because their key was gone.
pub(crate) fn files_removed(files: u64) {
    counter!("assent_dispatcher_files_removed_total").increment(files);
}

/// A linked file was looked for. `outcome` is one of a closed set.
pub(crate) fn upload(outcome: &'static str) {
    counter!("assent_dispatcher_uploads_total", "outcome" => outcome).increment(1);
}

/// A link was not fetched. `reason` is one of a closed set.
pub(crate) fn fetch_failed(reason: &'static str) {
    counter!("assent_dispatcher_fetch_failures_total", "reason" => reason).increment(1);
}
