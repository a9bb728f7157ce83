//! Routes of the platform's administrators, on the base domain only. One file per resource.

pub mod audit;
pub mod clients;
pub mod domains;
pub mod gateway_accounts;
pub mod invoice_refunds;
pub mod invoices;
pub mod lifecycle;
pub mod onboarding;
pub mod password_resets;
pub mod payment_findings;
pub mod plans;
pub mod reports;
pub mod sessions;
pub mod shards;
pub mod subscriptions;
pub mod tenants;
pub mod usage;
