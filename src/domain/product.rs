//! Products and services: what is told of one, and the parts that have rules of their own.

use super::ids::{ProductId, UserId};
use super::photo::Photo;
use super::{bounded::bounded_number, text_enum::text_enum};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

text_enum! {
    /// Where a product stands.
    pub enum ProductStatus {
        /// Being prepared; nobody outside sees it.
        Draft = "draft",
        /// On offer.
        Published = "published",
        /// Put away.
        Archived = "archived",
    }
}

text_enum! {
    /// What is sold.
    pub enum ProductKind {
        /// A thing; it may be counted.
        Product = "product",
        /// Work; it may have a duration.
        Service = "service",
    }
}

bounded_number!(
    /// How many of a product there are.
    Stock, 0, 1_000_000_000, 12
);
bounded_number!(
    /// How long a service takes, in minutes.
    DurationMinutes, 1, 525_600, 45
);

/// What anybody may know of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductOffer {
    /// Its id.
    pub id: ProductId,
    /// A thing or work.
    #[schema(value_type = ProductKind)]
    pub kind: String,
    /// Its headline.
    pub title: String,
    /// The seller's own code of it.
    pub sku: Option<String>,
    /// In the seller's words.
    pub category: Option<String>,
    /// None: on request.
    pub price_cents: Option<i64>,
    /// None: not counted; always so for a service.
    pub stock: Option<i32>,
    /// How long it takes; none for a product.
    pub duration_minutes: Option<i32>,
    /// Any number of lines.
    pub description: Option<String>,
    /// In the order in which they are shown.
    pub photos: Vec<Photo>,
    /// When it was first published.
    pub published_at: Option<DateTime<Utc>>,
}

/// A product as its seller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Product {
    /// The public part.
    #[serde(flatten)]
    pub offer: ProductOffer,
    /// Where it stands.
    #[schema(value_type = ProductStatus)]
    pub status: String,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// Who added it; none when a program did, or when the user is gone.
    pub created_by: Option<UserId>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bounded() {
        assert!(Stock::parse(0).is_ok() && Stock::parse(-1).is_err());
        assert!(DurationMinutes::parse(1).is_ok() && DurationMinutes::parse(0).is_err());
        assert!(Stock::parse(i64::MAX).is_err() && DurationMinutes::parse(525_601).is_err());
    }
}
