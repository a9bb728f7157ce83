//! Pictures of what is in a catalogue.

use super::ids::PhotoId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A picture; a list of them is in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Photo {
    /// Its id.
    pub id: PhotoId,
    /// A path of this server, or an address elsewhere.
    pub url: String,
    /// The same, smaller; none for an address elsewhere.
    pub thumbnail_url: Option<String>,
    /// As `image/webp`.
    pub content_type: Option<String>,
    /// What it shows, for who cannot see it.
    pub alt_text: Option<String>,
}
