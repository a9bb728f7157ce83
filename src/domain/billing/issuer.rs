//! Who sends the platform's invoices.

/// What stands at the head of each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// CPF or CNPJ, as it is to be shown.
    pub document: Option<String>,
    /// In one line.
    pub address: Option<String>,
}
