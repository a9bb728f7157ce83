//! The rules of the platform's own money: pure, and proven by properties.
//!
//! [`period`] cuts time into local months, [`proration`] shares a price between two plans, [`dunning`] says when somebody is
//! told, [`course`] what happens next to a subscription. [`invoice`] has the words, [`report`] the sums. Who does it: `billing`.

pub mod course;
pub mod dunning;
pub mod invoice;
pub mod issuer;
pub mod period;
pub mod proration;
pub mod report;
