//! What a message is for.

use crate::problems::Problems;
use assent_domain::values::Category;
use assent_proto::v1::MessageCategory;

/// The category named; `None` where none is.
pub fn parse(category: i32, field: &str, problems: &mut Problems) -> Option<Category> {
    match MessageCategory::try_from(category) {
        Ok(MessageCategory::Unspecified) => None,
        Ok(MessageCategory::Utility) => Some(Category::Utility),
        Ok(MessageCategory::Marketing) => Some(Category::Marketing),
        Ok(MessageCategory::Authentication) => Some(Category::Authentication),
        Ok(MessageCategory::Service) => Some(Category::Service),
        Err(_) => {
            problems.add(field, "is not one of the categories");
            None
        }
    }
}

/// The category as the contract has it.
pub const fn render(category: Category) -> MessageCategory {
    match category {
        Category::Marketing => MessageCategory::Marketing,
        Category::Utility => MessageCategory::Utility,
        Category::Authentication => MessageCategory::Authentication,
        Category::Service => MessageCategory::Service,
    }
}

/// The category as a field holds it; unspecified where there is none.
pub fn render_option(category: Option<Category>) -> i32 {
    category.map_or(MessageCategory::Unspecified, render).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_read_back() {
        let mut problems = Problems::new();
        for category in Category::ALL {
            assert_eq!(
                parse(render(category).into(), "category", &mut problems),
                Some(category)
            );
        }
        assert_eq!(parse(0, "category", &mut problems), None);
        assert!(problems.is_empty());
        assert_eq!(parse(99, "category", &mut problems), None);
        assert!(!problems.is_empty());
    }
}
