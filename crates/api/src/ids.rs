//! Ids in requests.

use crate::problems::Problems;
use assent_domain::values::{ContactId, MessageId, PhoneNumberId};

/// Our id of a message.
pub fn message(text: &str, field: &str, problems: &mut Problems) -> Option<MessageId> {
    problems.keep(field, text.parse())
}

/// Our id of a contact.
pub fn contact(text: &str, field: &str, problems: &mut Problems) -> Option<ContactId> {
    problems.keep(field, text.parse())
}

/// Meta's id of a number.
pub fn number(text: &str, field: &str, problems: &mut Problems) -> Option<PhoneNumberId> {
    problems.keep(field, PhoneNumberId::try_new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_is_a_problem_of_its_field() {
        let mut problems = Problems::new();
        assert!(message("67e55044-10b1-426f-9247-bb680e5fe0c8", "message_id", &mut problems).is_some());
        assert!(number("106540352242922", "from", &mut problems).is_some());
        assert!(problems.is_empty());
        assert!(message("order-7", "message_id", &mut problems).is_none());
        assert!(contact("", "contact_id", &mut problems).is_none());
        assert!(number("+1", "from", &mut problems).is_none());
        assert_eq!(problems.into_error().fields().len(), 3);
    }
}
