//! Where the storage of an SR is, and what its drivers say of a place that they cannot find.

use std::fmt::Write as _;

use xenapi::Value;

use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::outside::{DEVICES, ISCSI_SERVER, LUNS, NFS_EXPORTS, NFS_SERVER, SMB_SHARES, local};
use crate::state::State;

/// What a driver says that wants to know more, with the choices where there are some.
fn refused(number: u32, message: &str, choices: &str) -> ApiError {
    let params = [String::new(), message.to_owned(), choices.to_owned()];
    ApiError::owned(&format!("SR_BACKEND_FAILURE_{number}"), &params)
}

/// What a driver says of a place that is there, without the SR in it.
pub(super) fn without_sr(kind: &str) -> ApiError {
    match kind {
        "nfs" => refused(73, "NFS mount error [opterr=mount failed with return code 32]", ""),
        _ => refused(47, "The SR is not available", ""),
    }
}

/// Whether making an SR of a type erases what is in its place.
pub(super) fn is_erased(kind: &str) -> bool {
    matches!(kind, "ext" | "lvm" | "lvmoiscsi" | "lvmohba")
}

/// The place that a `device_config` describes, the same text for the same storage. `None` for the types of which the
/// simulator does not say where they are.
///
/// # Errors
/// As the driver: something is missing, or nobody is there.
pub(super) fn find(host: usize, kind: &str, config: &Value) -> Result<Option<String>> {
    let key = |name: &str| config.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    match kind {
        "nfs" => nfs(key("server"), key("serverpath")).map(Some),
        "smb" => smb(key("server")).map(Some),
        "lvmoiscsi" => iscsi(key("target"), key("targetIQN"), key("SCSIid")).map(Some),
        "lvmohba" => adapter(key("SCSIid")).map(Some),
        "ext" | "lvm" => device(host, key("device")).map(Some),
        _ => Ok(None),
    }
}

fn nfs(server: Option<&str>, path: Option<&str>) -> Result<String> {
    let server = server.ok_or_else(|| refused(102, "The request is missing the server parameter", ""))?;
    if server != NFS_SERVER {
        return Err(refused(108, "Unable to detect an NFS service on this target.", ""));
    }
    let Some(path) = path else {
        let mut exports = "<?xml version=\"1.0\" ?>\n<nfs-exports>\n".to_owned();
        for (path, clients) in NFS_EXPORTS {
            let _ = writeln!(
                exports,
                "\t<Export>\n\t\t<Target>{server}</Target>\n\t\t<Path>{path}</Path>\n\t\t<Accesslist>{clients}</Accesslist>\n\t</Export>"
            );
        }
        exports.push_str("</nfs-exports>\n\n");
        return Err(refused(
            101,
            "The request is missing the serverpath parameter",
            &exports,
        ));
    };
    if NFS_EXPORTS.iter().all(|(known, _)| *known != path) {
        return Err(refused(
            73,
            "NFS mount error [opterr=mount failed with return code 32]",
            "",
        ));
    }
    Ok(format!("nfs {server}:{path}"))
}

fn smb(server: Option<&str>) -> Result<String> {
    let share = server.ok_or_else(|| refused(102, "The request is missing the server parameter", ""))?;
    if !SMB_SHARES.contains(&share) {
        return Err(refused(
            111,
            "SMB mount error [opterr=mount failed with return code 32]",
            "",
        ));
    }
    Ok(format!("smb {share}"))
}

fn iscsi(target: Option<&str>, iqn: Option<&str>, scsi_id: Option<&str>) -> Result<String> {
    let target = target.ok_or_else(|| refused(95, "The request is missing the target parameter", ""))?;
    if target != ISCSI_SERVER {
        return Err(refused(141, "Unable to connect to ISCSI service on target", ""));
    }
    let Some(iqn) = iqn else {
        return Err(refused(
            96,
            "The request is missing or has an incorrect target IQN parameter",
            &targets(target),
        ));
    };
    if iqn != "*" && LUNS.iter().all(|lun| lun.iqn != iqn) {
        return Err(refused(83, "ISCSI discovery failed [opterr=check target settings]", ""));
    }
    let Some(scsi_id) = scsi_id else {
        return Err(refused(107, "The SCSIid parameter is missing or incorrect", &luns(iqn)));
    };
    if !LUNS
        .iter()
        .any(|lun| (iqn == "*" || lun.iqn == iqn) && lun.scsi_id == scsi_id)
    {
        return Err(refused(107, "The SCSIid parameter is missing or incorrect", ""));
    }
    Ok(format!("lun {scsi_id}"))
}

fn targets(address: &str) -> String {
    let mut names: Vec<_> = LUNS.iter().map(|lun| lun.iqn).collect();
    names.dedup();
    let mut document = "<?xml version=\"1.0\" ?>\n<iscsi-target-iqns>\n".to_owned();
    for (at, iqn) in names.into_iter().chain(["*"]).enumerate() {
        let _ = writeln!(
            document,
            "\t<TGT>\n\t\t<Index>{at}</Index>\n\t\t<IPAddress>{address}</IPAddress>\n\t\t<TargetIQN>{iqn}</TargetIQN>\n\t</TGT>"
        );
    }
    document + "</iscsi-target-iqns>\n\n"
}

fn luns(iqn: &str) -> String {
    let mut document = "<?xml version=\"1.0\" ?>\n<iscsi-target>\n".to_owned();
    for lun in LUNS.iter().filter(|lun| iqn == "*" || lun.iqn == iqn) {
        let _ = writeln!(
            document,
            "\t<LUN>\n\t\t<vendor>LIO-ORG</vendor>\n\t\t<serial>{}</serial>\n\t\t<LUNid>{}</LUNid>\n\t\t<size>{}</size>\n\t\t<SCSIid>{}</SCSIid>\n\t</LUN>",
            &lun.scsi_id[8..],
            lun.number,
            lun.size,
            lun.scsi_id
        );
    }
    document + "</iscsi-target>\n\n"
}

/// No host has an adapter.
fn adapter(scsi_id: Option<&str>) -> Result<String> {
    let none = "<?xml version=\"1.0\" ?>\n<Devlist/>\n\n";
    let choices = if scsi_id.is_none() { none } else { "" };
    Err(refused(107, "The SCSIid parameter is missing or incorrect", choices))
}

fn device(host: usize, device: Option<&str>) -> Result<String> {
    let device = device.ok_or_else(|| refused(90, "The request is missing the device parameter", ""))?;
    if !DEVICES.contains(&device) {
        let message = format!("No such device [opterr=Device {device} does not exist]");
        return Err(refused(19, &message, ""));
    }
    Ok(local(host, device))
}

/// `SR.probe`: the SRs that are in a place, or what its driver wants to know.
pub(super) fn probe(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("host", call.text(0))?;
    let (config, kind) = (call.value(1), call.text(2));
    if state.db.find("SM", "type", kind).is_none() {
        return Err(ApiError::new("SR_UNKNOWN_DRIVER", [kind]));
    }
    let host = state
        .hosts
        .iter()
        .position(|host| host == call.text(0))
        .unwrap_or_default();
    let Some(place) = find(host, kind, &config)? else {
        return Err(refused(38, "The requested method is not supported/implemented", ""));
    };
    let mut document = "<?xml version=\"1.0\" ?>\n<SRlist>\n".to_owned();
    for (uuid, sr) in state.outside.at(&place) {
        let _ = writeln!(document, "\t<SR>\n\t\t<UUID>{uuid}</UUID>");
        if is_erased(kind) {
            let device = config
                .get("device")
                .and_then(Value::as_str)
                .unwrap_or("/dev/mapper/lun");
            let size: i64 = sr.disks.iter().map(|disk| disk.size()).sum();
            let _ = writeln!(
                document,
                "\t\t<Devlist>{device}</Devlist>\n\t\t<size>{}</size>",
                size.max(100 << 30)
            );
        }
        document.push_str("\t</SR>\n");
    }
    Ok(Value::String(document + "</SRlist>\n"))
}
