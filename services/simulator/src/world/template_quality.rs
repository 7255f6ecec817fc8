//! What feedback does to templates: quality scores, the ladder of pauses, and pacing.
//!
//! Red pauses a template for three hours, then for six, then for ever. Pacing lets the first messages of a new template
//! through and holds the rest back until people's reactions to the first are known.

use super::World;
use super::agenda::{Happening, MessageIndex};
use super::draw::{self, Draw};
use super::feedback::Feedback;
use super::number::Rating;
use super::templates::{TemplateKey, Why};
use super::update::Callback;

const HOUR_MS: i64 = 60 * 60 * 1_000;
const FIRST_PAUSE_MS: i64 = 3 * HOUR_MS;
const SECOND_PAUSE_MS: i64 = 6 * HOUR_MS;
/// How long after a pause of a utility template all utility templates of the account are paced.
const UTILITY_PACED_MS: i64 = 7 * 24 * HOUR_MS;
/// A template's score is looked at again after so many deliveries.
const JUDGED_EVERY: u64 = 50;

/// How far pacing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pacing {
    /// Known to be good, or never paced.
    #[default]
    Settled,
    /// New or under suspicion: so many have passed.
    Fresh(u32),
    /// The rest is held until the first are judged.
    Assessing,
}

/// What a template has to show for itself.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) feedback: Feedback,
    pub(super) pacing: Pacing,
    /// Times it was paused for low quality.
    pauses: u32,
    held: Vec<MessageIndex>,
}

impl Standing {
    /// Begins again: what people made of it before no longer counts.
    pub(super) fn begin_again(&mut self) {
        self.feedback.clear();
        self.pacing = Pacing::Fresh(0);
    }
}

impl World {
    /// Whether a message of this template is held back. Counts it if not.
    pub(super) fn is_held(&mut self, now_ms: i64, key: TemplateKey) -> bool {
        let first = self.rules.pacing_first_messages;
        if first == 0 {
            return false;
        }
        let account = &self.accounts[key.account as usize];
        let suspicious = account
            .utility_paused_at_ms
            .is_some_and(|at_ms| now_ms < at_ms + UTILITY_PACED_MS);
        let template = self.template_mut(key);
        let is_paced = template.category == "MARKETING" || template.category == "UTILITY" && suspicious;
        if !is_paced {
            return false;
        }
        match &mut template.standing.pacing {
            Pacing::Settled => false,
            Pacing::Fresh(passed) if *passed < first => {
                *passed += 1;
                false
            }
            Pacing::Fresh(_) => {
                template.standing.pacing = Pacing::Assessing;
                let id = template.id;
                let takes_ms =
                    self.latency
                        .pacing_assessment
                        .at(draw::unit(self.seed, Draw::PacingLatency, id, now_ms as u64));
                self.agenda.plan(now_ms + takes_ms, Happening::TemplateAssessed(key));
                true
            }
            Pacing::Assessing => true,
        }
    }

    /// Keeps a message until its template has been assessed.
    pub(super) fn hold(&mut self, key: TemplateKey, index: MessageIndex) {
        self.template_mut(key).standing.held.push(index);
    }

    /// Ends pacing: what was held is sent, or, if people did not like the first messages, fails as the template is paused.
    /// Too little feedback counts as good.
    pub(super) fn assess_template(&mut self, key: TemplateKey, at_ms: i64, out: &mut Vec<Callback>) {
        let template = self.template_mut(key);
        let held = std::mem::take(&mut template.standing.held);
        let is_bad = template.standing.feedback.rating(at_ms, false) == Some(Rating::Red);
        let is_approved = template.status == "APPROVED";
        template.standing.pacing = Pacing::Settled;
        if is_bad && is_approved {
            let why = Why {
                title: "RATE_LIMITING_PAUSE",
                description: "Paused because of early feedback; unpause or edit it.",
            };
            self.put_template_status(at_ms, key, "PAUSED", Some(why), out);
        }
        for index in held {
            let message = &self.messages[index as usize];
            let (phone, nth) = (message.phone, message.nth);
            if is_bad || !is_approved {
                self.agenda.plan(at_ms, Happening::Failed(index, 132_015));
            } else {
                let takes_ms = self
                    .latency
                    .sent
                    .at(draw::unit(self.seed, Draw::SentLatency, phone, nth));
                self.agenda.plan(at_ms + takes_ms, Happening::Sent(index));
            }
        }
    }

    /// Whether anything looks at what people make of templates.
    pub(super) fn watches_templates(&self) -> bool {
        self.rules.template_quality || self.rules.pacing_first_messages > 0
    }

    /// Notes that a template message was delivered.
    pub(super) fn template_delivered(&mut self, at_ms: i64, key: TemplateKey, out: &mut Vec<Callback>) {
        let feedback = &mut self.template_mut(key).standing.feedback;
        feedback.has_delivered(at_ms);
        if feedback.delivered(at_ms).is_multiple_of(JUDGED_EVERY) {
            self.judge_template(at_ms, key, out);
        }
    }

    /// Somebody blocks or reports a number: it counts against the number and against the template that came last.
    pub(super) fn negative_feedback(&mut self, now_ms: i64, number: u32, phone: u64, out: &mut Vec<Callback>) {
        self.numbers[number as usize].feedback.was_negative(now_ms);
        let last = self.relation(number, phone).last_template;
        if let Some(key) = last.filter(|_| self.watches_templates()) {
            self.template_mut(key).standing.feedback.was_negative(now_ms);
            self.judge_template(now_ms, key, out);
        }
    }

    fn judge_template(&mut self, now_ms: i64, key: TemplateKey, out: &mut Vec<Callback>) {
        if !self.rules.template_quality {
            return;
        }
        let feedback = &self.template_mut(key).standing.feedback;
        if let Some(rating) = feedback.rating(now_ms, true) {
            self.put_template_quality(now_ms, key, rating.as_str(), out);
        }
    }

    /// Gives a template a score and reports it. Under the rule for template quality yellow begins pacing, and red pauses.
    pub(super) fn put_template_quality(&mut self, now_ms: i64, key: TemplateKey, score: &str, out: &mut Vec<Callback>) {
        let follows = self.rules.template_quality;
        let template = self.template_mut(key);
        if template.quality != score {
            let previous = std::mem::replace(&mut template.quality, score.to_owned());
            template.quality_at_s = now_ms.div_euclid(1_000);
            let value = template.quality_change(&previous);
            if follows && score == "YELLOW" && template.standing.pacing == Pacing::Settled {
                template.standing.pacing = Pacing::Fresh(0);
            }
            out.push(self.report_management(key.account, None, "message_template_quality_update", now_ms, value));
        }
        if follows && score == "RED" && self.template_mut(key).status == "APPROVED" {
            self.pause_for_quality(now_ms, key, out);
        }
    }

    fn pause_for_quality(&mut self, now_ms: i64, key: TemplateKey, out: &mut Vec<Callback>) {
        let template = self.template_mut(key);
        template.standing.pauses += 1;
        let pauses = template.standing.pauses;
        if template.category == "UTILITY" {
            self.accounts[key.account as usize].utility_paused_at_ms = Some(now_ms);
        }
        let (status, why, lasts_ms) = match pauses {
            1 => (
                "PAUSED",
                Why {
                    title: "FIRST_PAUSE",
                    description: "Paused for 3 hours because of low quality.",
                },
                Some(FIRST_PAUSE_MS),
            ),
            2 => (
                "PAUSED",
                Why {
                    title: "SECOND_PAUSE",
                    description: "Paused for 6 hours because of low quality.",
                },
                Some(SECOND_PAUSE_MS),
            ),
            _ => (
                "DISABLED",
                Why {
                    title: "DISABLED",
                    description: "Disabled because of low quality.",
                },
                None,
            ),
        };
        self.put_template_status(now_ms, key, status, Some(why), out);
        if let Some(lasts_ms) = lasts_ms {
            self.agenda
                .plan(now_ms + lasts_ms, Happening::TemplateResumes(key, pauses));
        }
    }

    /// Ends a pause for low quality, unless the template has been changed meanwhile.
    pub(super) fn resume_template(&mut self, key: TemplateKey, pause: u32, at_ms: i64, out: &mut Vec<Callback>) {
        let template = self.template_mut(key);
        if template.status == "PAUSED" && template.standing.pauses == pause {
            self.unpause(at_ms, key, out);
        }
    }

    /// Lets a paused template be sent again; its quality is found anew.
    pub(super) fn unpause(&mut self, now_ms: i64, key: TemplateKey, out: &mut Vec<Callback>) {
        self.template_mut(key).standing.begin_again();
        let why = Why {
            title: "UNPAUSE",
            description: "May be sent again.",
        };
        self.put_template_status(now_ms, key, "APPROVED", Some(why), out);
        self.put_template_quality(now_ms, key, "UNKNOWN", out);
    }
}
