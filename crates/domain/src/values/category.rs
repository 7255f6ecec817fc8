//! Message categories.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a message is for, in Meta's words. Consent is given and withdrawn by category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Anything promotional, mixed or unclear.
    Marketing,
    /// About something specific the person asked for or must know.
    Utility,
    /// One-time codes.
    Authentication,
    /// Free-form answers within the customer service window; never a template's category.
    Service,
}

impl Category {
    /// All categories, the strictest first.
    pub const ALL: [Self; 4] = [Self::Marketing, Self::Utility, Self::Authentication, Self::Service];

    /// The stable name: `marketing`, `utility`, `authentication`, `service`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Utility => "utility",
            Self::Authentication => "authentication",
            Self::Service => "service",
        }
    }

    /// How much the category asks before a message may go: marketing most, service least.
    const fn strictness(self) -> u8 {
        match self {
            Self::Marketing => 3,
            Self::Utility => 2,
            Self::Authentication => 1,
            Self::Service => 0,
        }
    }

    /// Whether more is asked of this category than of `other`.
    pub const fn is_stricter_than(self, other: Self) -> bool {
        self.strictness() > other.strictness()
    }

    /// The one of the two of which more is asked.
    #[must_use]
    pub const fn stricter(self, other: Self) -> Self {
        if other.is_stricter_than(self) { other } else { self }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is not a category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the categories are marketing, utility, authentication and service")]
pub struct UnknownCategory;

impl FromStr for Category {
    type Err = UnknownCategory;

    /// Takes Meta's capitals as well: `MARKETING`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str().eq_ignore_ascii_case(text))
            .ok_or(UnknownCategory)
    }
}

/// At least one category.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<Category>", into = "BTreeSet<Category>")]
pub struct CategorySet(BTreeSet<Category>);

/// No category was named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at least one of marketing, utility, authentication and service must be named")]
pub struct EmptyCategorySet;

impl CategorySet {
    /// The categories given; naming one twice is naming it once.
    pub fn try_new(categories: impl IntoIterator<Item = Category>) -> Result<Self, EmptyCategorySet> {
        let set: BTreeSet<_> = categories.into_iter().collect();
        if set.is_empty() {
            Err(EmptyCategorySet)
        } else {
            Ok(Self(set))
        }
    }

    /// Just this one.
    pub fn only(category: Category) -> Self {
        Self(BTreeSet::from([category]))
    }

    /// Every category there is.
    pub fn all() -> Self {
        Self(Category::ALL.into_iter().collect())
    }

    /// Whether `category` is among them.
    pub fn contains(&self, category: Category) -> bool {
        self.0.contains(&category)
    }

    /// The categories in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Category> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Display for CategorySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Category::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

impl TryFrom<BTreeSet<Category>> for CategorySet {
    type Error = EmptyCategorySet;

    fn try_from(set: BTreeSet<Category>) -> Result<Self, Self::Error> {
        Self::try_new(set)
    }
}

impl From<CategorySet> for BTreeSet<Category> {
    fn from(set: CategorySet) -> Self {
        set.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marketing_is_the_strictest_category_and_service_the_mildest() {
        for (at, category) in Category::ALL.into_iter().enumerate() {
            for milder in &Category::ALL[at..] {
                assert_eq!(category.stricter(*milder), category);
                assert_eq!(milder.stricter(category), category);
            }
        }
    }

    #[test]
    fn a_category_is_read_in_our_spelling_and_in_metas() {
        assert_eq!("utility".parse(), Ok(Category::Utility));
        assert_eq!("MARKETING".parse(), Ok(Category::Marketing));
        assert_eq!("marketing_lite".parse::<Category>(), Err(UnknownCategory));
    }

    #[test]
    fn a_set_of_no_categories_does_not_exist() {
        assert_eq!(CategorySet::try_new([]), Err(EmptyCategorySet));
        assert!(serde_json::from_str::<CategorySet>("[]").is_err());
        let set = serde_json::from_str::<CategorySet>(r#"["utility","marketing","utility"]"#).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["marketing","utility"]"#);
    }
}
