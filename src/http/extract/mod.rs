//! What a handler receives: who asks and whose data it is about. A handler that takes [`TenantAccess`] cannot run
//! for a caller without rights, because its statements are sent along with the proof.

mod admin;
mod client;
mod following;
mod renamed;
mod tenant;
mod token;

pub use admin::AdminAccess;
pub(in crate::http) use admin::on_base_domain;
pub(in crate::http) use client::bearer;
pub use client::{ClientAddress, IdempotencyHeader};
pub use tenant::{
    Checkout, Inbound, Invoices, LogIn, ManageTenant, OwnAccount, OwnAccounts, OwnBilling, OwnDesk,
    OwnExport, OwnReading, OwnTenant, Permission, PublicTenant, ReadData, SESSION_COOKIE, SeeSettings,
    SettleUsage, TenantAccess, TradeData, WriteData,
};
