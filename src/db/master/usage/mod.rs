//! `usage_…`: what each tenant has consumed. [`counters`] reads it, [`booking`] changes it, [`holds`] is for the sweeper of
//! what nobody came back for, [`alerts`] for whoever tells owners. The operations themselves are functions of the schema (`V9`): each one is one statement.

pub mod alerts;
pub mod booking;
pub mod counters;
pub mod holds;
pub mod storage;
