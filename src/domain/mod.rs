//! Pure types and rules of the product: no IO, no drivers, nothing that can fail for a reason outside the value.
//!
//! A value that exists is a value that was checked: everything that comes from outside is parsed into one of
//! these types at the edge, and the code behind it never checks again. A refusal is an [`invalid::Invalid`]
//! with a stable `code`; several of them, each with the name of its field, are [`invalid::FieldErrors`].
//!
//! To add a concept: one file named after it, a `parse` that returns `Result<Self, Invalid>`, and in the same
//! file the tests that `parse` never panics and that its own output is accepted unchanged. A text value takes
//! its conversions from `text_value!`, a closed list of words from
//! `text_enum!`, a bounded number from `bounded_number!`, an identifier from [`ids`].

pub mod api_key;
pub mod audit;
pub mod billing;
pub mod bot_credentials;
mod bounded;
pub mod broadcast;
pub mod charge;
pub mod clock;
pub mod contact;
pub mod conversation;
pub mod customer;
pub mod day;
pub mod document;
pub mod due;
pub mod email;
pub mod event;
pub mod finance;
pub mod hex;
pub mod host;
pub mod ids;
pub mod inbox;
pub mod instance;
pub mod invalid;
pub mod lead;
pub mod lead_history;
pub mod lead_stage;
pub mod login_attempt;
pub mod mail;
pub mod media_type;
pub mod message;
pub mod message_template;
pub mod message_variables;
pub mod metering;
pub mod money;
pub mod month;
pub mod order;
pub mod outbox;
pub mod page;
pub mod password;
pub mod password_link;
pub mod patch;
pub mod payment;
pub mod phone;
pub mod photo;
pub mod plan;
pub mod platform_key;
pub mod product;
pub mod property;
pub mod random;
pub mod recurrence;
pub mod retention;
pub mod rights;
pub mod role;
pub mod scheduled_message;
pub mod settings;
pub mod subscription;
pub mod tenant;
pub mod tenant_key;
pub mod tenant_move;
pub mod text;
mod text_enum;
mod text_value;
pub mod token;
pub mod turns;
pub mod usage;
pub mod user;
pub mod vehicle;
pub mod whatsapp_key;
