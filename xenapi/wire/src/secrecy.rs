//! What is not to be printed.

/// Whether what a key or the name of a member names is not to be printed: a password, a private key, a session.
///
/// ```
/// assert!(xenapi_wire::names_secret("cifspassword"));
/// assert!(!xenapi_wire::names_secret("server"));
/// ```
pub fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let words = ["passw", "pwd", "secret", "private_key", "token", "session"];
    name.trim_matches('"') == "pass" || words.iter().any(|word| name.contains(word))
}
