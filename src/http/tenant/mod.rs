//! Routes of a tenant, at its own address or with `X-Tenant-Key`. One file per resource.

pub mod api_keys;
pub mod contacts;
pub mod conversations;
pub mod export;
pub mod lead_history;
pub mod lead_stages;
pub mod leads;
pub mod me;
pub mod messages;
pub mod person;
pub mod photo_files;
pub mod photos;
pub mod products;
pub mod properties;
pub mod sessions;
pub mod settings;
pub mod storefront;
pub mod subscription;
pub mod usage;
mod user_forms;
pub mod users;
pub mod vehicles;
