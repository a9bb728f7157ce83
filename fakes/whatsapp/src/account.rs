//! An account: a phone number, its phone, and the devices linked to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use rand::rngs::StdRng;
use sha2::Sha256;
use tokio::sync::Mutex;
use wacore::adv::{AdvValidation, validate_adv_with_identity_key};
use wacore::libsignal::protocol::KeyPair;
use wacore_binary::{Jid, Node, Server};
use waproto::buffa::Message as _;
use waproto::codec::{
    adv_key_index_list_to_vec, adv_signed_device_identity_decode, adv_signed_device_identity_to_vec,
    adv_signed_key_index_list_to_vec,
};
use waproto::whatsapp::{
    ADVDeviceIdentity, ADVEncryptionType, ADVKeyIndexList, ADVSignedDeviceIdentity,
    ADVSignedDeviceIdentityHMAC, ADVSignedKeyIndexList,
};

use crate::bundle::Bundle;
use crate::line::Line;
use crate::noise::{Handshake, public};
use crate::phone::Phone;
use crate::stanza::now;

/// What stands before the text that an account's key signs for a device, and before what the device signs in return.
const ACCOUNT_SIGNS: [u8; 2] = [6, 0];
const DEVICE_SIGNS: [u8; 2] = [6, 1];

/// What stands before a phone number in the second name ("LID") of its account.
const LID: &str = "77";

/// A device of an account: 0 is the phone, others are linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) phone: String,
    pub(crate) device: u16,
}

pub(crate) struct Account {
    pub(crate) address: Address,
    keys: KeyPair,
    raw_id: u32,
    /// The phone's own keys; taken for as long as an answer is sealed and put on its way, so that order is kept.
    pub(crate) secrets: Arc<Mutex<Phone>>,
    pub(crate) bundle: Bundle,
    pub(crate) devices: BTreeMap<u16, Linked>,
    last: u16,
}

/// A linked device: what a client of this account is to the server.
pub(crate) struct Linked {
    /// By which the server knows the device again.
    pub(crate) key: [u8; 32],
    pub(crate) bundle: Bundle,
    /// Signed by the account and by the device.
    pub(crate) proof: Vec<u8>,
    pub(crate) line: Option<Line>,
    /// Whether it has asked for its messages since it came.
    pub(crate) active: bool,
    /// Messages that it has not confirmed, by id.
    pub(crate) waiting: Vec<(String, Node)>,
    pub(crate) logins: Vec<Handshake>,
}

impl Address {
    /// The device with this name, in either of the two forms.
    pub(crate) fn of(jid: &Jid) -> Option<Self> {
        let user = jid.user.as_str();
        let phone = match jid.server {
            Server::Pn => user,
            Server::Lid => user.strip_prefix(LID)?,
            _ => return None,
        };
        Some(Self {
            phone: phone.to_owned(),
            device: jid.device,
        })
    }

    /// The name by phone number.
    pub(crate) fn jid(&self) -> Jid {
        Jid::pn_device(self.phone.as_str(), self.device)
    }

    /// The name that hides the phone number.
    pub(crate) fn lid(&self) -> Jid {
        Jid::lid_device(format!("{LID}{}", self.phone), self.device)
    }

    /// Another device of the same account.
    pub(crate) fn with(&self, device: u16) -> Self {
        Self {
            phone: self.phone.clone(),
            device,
        }
    }
}

impl Linked {
    pub(crate) fn new(key: [u8; 32], bundle: Bundle, proof: Vec<u8>) -> Self {
        Self {
            key,
            bundle,
            proof,
            line: None,
            active: false,
            waiting: Vec::new(),
            logins: Vec::new(),
        }
    }
}

impl Account {
    /// A person with a phone.
    pub(crate) fn new(phone: &str) -> Result<Self> {
        let keys = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        let (secrets, bundle) = Phone::new(&keys)?;
        Ok(Self {
            address: Address {
                phone: phone.to_owned(),
                device: 0,
            },
            keys,
            raw_id: rand::random(),
            secrets: Arc::new(Mutex::new(secrets)),
            bundle,
            devices: BTreeMap::new(),
            last: 0,
        })
    }

    /// The phone's identity key.
    pub(crate) fn identity(&self) -> Result<[u8; 32]> {
        public(&self.keys)
    }

    /// The phone's secret identity key.
    pub(crate) fn keys(&self) -> &KeyPair {
        &self.keys
    }

    /// The next device to be linked.
    pub(crate) fn next_device(&mut self) -> Address {
        self.last += 1;
        self.address.with(self.last)
    }

    /// The phone's word that the device with this identity key belongs to the account.
    pub(crate) fn vouch(&self, device: u16, identity: &[u8; 32]) -> Result<ADVSignedDeviceIdentity> {
        let details = ADVDeviceIdentity {
            raw_id: Some(self.raw_id),
            timestamp: Some(now().unsigned_abs()),
            key_index: Some(u32::from(device)),
            account_type: Some(ADVEncryptionType::E2EE),
            device_type: Some(ADVEncryptionType::E2EE),
        };
        let details = details.encode_to_vec();
        let signed = [&ACCOUNT_SIGNS[..], &details, identity].concat();
        let signature = self
            .keys
            .calculate_signature(&signed, &mut rand::make_rng::<StdRng>())?;
        Ok(ADVSignedDeviceIdentity {
            details: Some(details),
            account_signature_key: Some(self.identity()?.to_vec()),
            account_signature: Some(signature.to_vec()),
            device_signature: None,
        })
    }

    /// The same word, sealed with the secret that the device showed to the phone alone.
    pub(crate) fn vouch_with(&self, device: u16, identity: &[u8; 32], secret: &[u8; 32]) -> Result<Vec<u8>> {
        let details = adv_signed_device_identity_to_vec(&self.vouch(device, identity)?);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret)?;
        mac.update(&details);
        let sealed = ADVSignedDeviceIdentityHMAC {
            details: Some(details),
            hmac: Some(mac.finalize().into_bytes().to_vec()),
            account_type: None,
        };
        Ok(sealed.encode_to_vec())
    }

    /// A device's half of the proof, for a device whose keys the caller has.
    pub(crate) fn complete(
        &self,
        mut proof: ADVSignedDeviceIdentity,
        device: &KeyPair,
    ) -> Result<ADVSignedDeviceIdentity> {
        let details = proof.details.as_deref().context("no details")?;
        let signed = [&DEVICE_SIGNS[..], details, &public(device)?, &self.identity()?].concat();
        let signature = device.calculate_signature(&signed, &mut rand::make_rng::<StdRng>())?;
        proof.device_signature = Some(signature.to_vec());
        Ok(proof)
    }

    /// Checks the proof that a device completed.
    pub(crate) fn check(&self, proof: &[u8], identity: &[u8; 32]) -> Result<()> {
        let known = self.identity()?;
        let outcome = validate_adv_with_identity_key(proof, identity, Some(&known));
        ensure!(
            outcome == AdvValidation::Valid,
            "the device's proof is {outcome:?}"
        );
        let key = adv_signed_device_identity_decode(proof)?.account_signature_key;
        ensure!(key.as_deref() == Some(&known), "signed by another account");
        Ok(())
    }

    /// The signed list of linked devices that others check.
    pub(crate) fn key_indexes(&self) -> Result<Vec<u8>> {
        let list = ADVKeyIndexList {
            raw_id: Some(self.raw_id),
            timestamp: Some(now().unsigned_abs()),
            current_index: Some(u32::from(self.last)),
            valid_indexes: self.devices.keys().map(|device| u32::from(*device)).collect(),
            ..Default::default()
        };
        let details = adv_key_index_list_to_vec(&list);
        let signature = self
            .keys
            .calculate_signature(&details, &mut rand::make_rng::<StdRng>())?;
        Ok(adv_signed_key_index_list_to_vec(&ADVSignedKeyIndexList {
            details: Some(details),
            account_signature: Some(signature.to_vec()),
            account_signature_key: Some(self.identity()?.to_vec()),
        }))
    }
}
