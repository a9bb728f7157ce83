//! Webhooks: what is read of them, and why one is not.

use reqwest::Url;

/// A webhook as it came in. All of it is a stranger's until the signature has proven good.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The query of the address, as it was sent, without `?`.
    pub query: &'a str,
    /// The headers whose values are text.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, byte for byte.
    pub body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The first value of this name in the query.
    pub(super) fn asked(&self, name: &str) -> Option<String> {
        let mut url = Url::parse("http://localhost").ok()?;
        url.set_query(Some(self.query));
        url.query_pairs()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// What a webhook is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayEvent {
    /// The same for each delivery of one event, another one for each event of the account.
    pub event_id: String,
    /// The payment to be fetched; none when the event is about something else.
    pub payment_id: Option<String>,
}

/// Why a webhook is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventRefused {
    /// Not signed with the account's secret, or too long ago.
    #[error("the signature is missing, wrong or too old")]
    Signature,
    /// Signed, and yet it makes no sense.
    #[error("the event cannot be read")]
    Unreadable,
}
