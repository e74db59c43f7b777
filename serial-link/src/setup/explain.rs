use super::form::{Form, Protocol, Role, Socket};

impl Form {
    /// What it does, in a sentence for a person.
    pub fn explain(&self) -> String {
        match self {
            Self::Pty => {
                "a pseudo terminal in the control domain, whose name xenstore has: one reader at a time, and what \
                          the guest sends while there is none is lost"
                    .into()
            }
            Self::None => "no serial port at all".into(),
            Self::Null => "a port that nobody reaches: what the guest sends is thrown away".into(),
            Self::Stdio => {
                "QEMU's own output, which XenServer and XCP-ng write to the host's log; nothing goes in".into()
            }
            Self::Console { .. } => "a text console on the VM's screen, beside its picture".into(),
            Self::Socket(socket) => socket.explain(),
            Self::Udp(udp) => format!(
                "a datagram to {}:{} for what the guest sends; what is lost on the way stays lost",
                udp.remote.0, udp.remote.1
            ),
            Self::File { path } => {
                format!("the file {path} in the control domain gets what the guest sends; nothing goes in")
            }
            Self::Pipe { path } => format!("the named pipes {path}.in and {path}.out in the control domain"),
            Self::Device { path } => format!("the device {path} of the control domain"),
            Self::Monitor(form) => format!("QEMU's monitor, switched to with Ctrl-A C, shares {}", form.explain()),
            Self::Chardev { id } => format!("the device {id:?} of another option of QEMU's"),
            Self::Emulated(name) => format!("an emulated device ({name}) in the place of a line"),
        }
    }
}

impl Socket {
    fn explain(&self) -> String {
        let address = &self.address;
        let spoken = match self.protocol {
            Protocol::Raw => "",
            Protocol::Telnet => ", with telnet's negotiation",
            Protocol::Tn3270 => ", with the negotiation of IBM terminals",
            Protocol::WebSocket => ", as a web socket",
        };
        match self.role {
            Role::Server { wait: true } => {
                format!("QEMU listens at {address}{spoken}, and the VM stands still until somebody connects")
            }
            Role::Server { wait: false } => format!(
                "QEMU listens at {address}{spoken}: connections come and go, one at a time, and the VM waits for none"
            ),
            Role::Client { reconnect: None } => {
                format!("QEMU connects to {address}{spoken} when the VM starts, and never again")
            }
            Role::Client {
                reconnect: Some(reconnect),
            } => format!(
                "QEMU connects to {address}{spoken}, and again {:?} after the connection broke",
                reconnect.duration()
            ),
        }
    }
}
