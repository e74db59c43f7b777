//! Where disks can be read over NBD: networks of that purpose, and `VDI.get_nbd_info`.

use xenapi::{ToValue, Value};

use super::{Behaviour, sr, vdi};
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::nbd::PORT;
use crate::state::State;

/// How disks of a pool can be read over NBD: the purpose that a network has for it.
///
/// A server goes by the purposes of all networks together, so xapi lets no pool have both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NbdPurpose {
    /// `nbd`: over TLS, which the server insists on.
    Nbd,
    /// `insecure_nbd`: without TLS, which the server then refuses.
    InsecureNbd,
}

impl NbdPurpose {
    const ALL: [Self; 2] = [Self::Nbd, Self::InsecureNbd];

    /// As XenAPI spells it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Nbd => "nbd",
            Self::InsecureNbd => "insecure_nbd",
        }
    }

    fn is_of(self, state: &State, network: &str) -> bool {
        let purposes = state.db.list("network", network, "purpose");
        purposes.iter().any(|purpose| purpose == self.as_str())
    }

    fn is_of_any(self, state: &State) -> bool {
        let networks = state.db.refs("network");
        networks.iter().any(|network| self.is_of(state, network))
    }
}

pub(super) fn find(class: &str, message: &str) -> Option<Behaviour> {
    Some(match (class, message) {
        ("VDI", "get_nbd_info") => get_nbd_info,
        ("network", "add_purpose") => add_purpose,
        ("network", "remove_purpose") => remove_purpose,
        _ => return None,
    })
}

/// How servers serve now; not at all where no network has a purpose for it, or where networks contradict each other.
pub(crate) fn served(state: &State) -> Option<NbdPurpose> {
    let mut purposes = NbdPurpose::ALL.into_iter().filter(|purpose| purpose.is_of_any(state));
    let first = purposes.next();
    first.filter(|_| purposes.next().is_none())
}

/// Gives the networks of the management interfaces a purpose.
pub(crate) fn give_purpose(state: &mut State, purpose: NbdPurpose) {
    for pif in state.db.refs("PIF") {
        if state.db.flag("PIF", &pif, "management") {
            let network = state.db.text("PIF", &pif, "network");
            state
                .db
                .set("network", &network, "purpose", vec![purpose.as_str().to_owned()]);
        }
    }
}

fn add_purpose(state: &mut State, call: &Invocation) -> Result<Value> {
    let (network, purpose) = (call.text(0), call.text(1));
    state.require("network", network)?;
    let mut purposes = state.db.list("network", network, "purpose");
    if purposes.iter().any(|known| known == purpose) {
        return Ok(void());
    }
    let mut others = NbdPurpose::ALL.into_iter().filter(|other| other.as_str() != purpose);
    if let Some(other) = others.find(|other| other.is_of_any(state)) {
        return Err(ApiError::new(
            "NETWORK_INCOMPATIBLE_PURPOSES",
            [purpose, other.as_str()],
        ));
    }
    purposes.push(purpose.to_owned());
    state.db.set("network", network, "purpose", purposes);
    Ok(void())
}

fn remove_purpose(state: &mut State, call: &Invocation) -> Result<Value> {
    let (network, purpose) = (call.text(0), call.text(1));
    state.require("network", network)?;
    let mut purposes = state.db.list("network", network, "purpose");
    if purposes.iter().any(|known| known == purpose) {
        purposes.retain(|known| known != purpose);
        state.db.set("network", network, "purpose", purposes);
    }
    Ok(void())
}

/// One record for each address at which a host that sees the SR serves.
fn get_nbd_info(state: &mut State, call: &Invocation) -> Result<Value> {
    let vdi = call.text(0);
    vdi::has_content(state, vdi)?;
    let networks: Vec<_> = state
        .db
        .refs("network")
        .into_iter()
        .filter(|network| NbdPurpose::ALL.iter().any(|purpose| purpose.is_of(state, network)))
        .collect();
    let sr = state.db.text("VDI", vdi, "SR");
    let export = format!("/{}?session_id={}", state.uuid("VDI", vdi), call.session);
    let mut offers = Vec::new();
    for (number, host) in state.hosts.iter().enumerate() {
        if !sr::is_seen_by(state, &sr, host) {
            continue;
        }
        let (pem, subject) = state
            .certificates
            .get(number)
            .map_or(("", ""), |certificate| (certificate.pem(), certificate.subject()));
        for (address, port) in addresses(state, number, host, &networks) {
            let fields = [
                ("exportname", export.to_value()),
                ("address", address.to_value()),
                ("port", Value::Int(port.into())),
                ("cert", pem.to_value()),
                ("subject", subject.to_value()),
            ];
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
            offers.push(Value::Struct(fields.collect()));
        }
    }
    Ok(Value::Array(offers))
}

/// Where a host can be reached over these networks. Where its server has a port of its own, that is one address however
/// many interfaces lead there.
fn addresses(state: &State, number: usize, host: &str, networks: &[String]) -> Vec<(String, u16)> {
    let mut found = Vec::new();
    for pif in state.db.list("host", host, "PIFs") {
        let is_on = state.db.flag("PIF", &pif, "currently_attached");
        if !is_on || !networks.contains(&state.db.text("PIF", &pif, "network")) {
            continue;
        }
        found.push(state.db.text("PIF", &pif, "IP"));
        found.extend(state.db.list("PIF", &pif, "IPv6"));
    }
    found.retain(|address| !address.is_empty());
    match state.nbd_ports.get(number) {
        _ if found.is_empty() => Vec::new(),
        Some(listener) => vec![(listener.ip().to_string(), listener.port())],
        None => found.into_iter().map(|address| (address, PORT)).collect(),
    }
}
