//! Numbers as text.

/// The integer in a text. XML-RPC has integers only as text, and clients have put them into strings.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.trim_ascii().parse().ok()
}

/// The double in a text, in C's spelling: `1`, `0.5`, `1e+20`, `nan`, `-nan`, `inf`.
pub(super) fn float(text: &str) -> Option<f64> {
    text.trim_ascii().parse().ok()
}

/// A finite double as C's `%.{precision}g` writes it, which is OCaml's too.
pub(super) fn general(number: f64, precision: usize) -> String {
    let digits = precision.saturating_sub(1);
    let scientific = format!("{number:.digits$e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    match usize::try_from(exponent) {
        Ok(places) if places < precision => trimmed(&format!("{number:.*}", digits - places)).to_owned(),
        Err(_) if exponent >= -4 => {
            let leading = exponent.unsigned_abs() as usize;
            trimmed(&format!("{number:.*}", digits + leading)).to_owned()
        }
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs())
        }
    }
}

/// Without the zeros that end a fraction.
fn trimmed(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_is_printf() {
        let known = [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e15, "1000000000000000"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.234567890123457e+17"),
            (1e300, "1e+300"),
        ];
        for (number, text) in known {
            assert_eq!(general(number, 16), text);
        }
    }

    #[test]
    fn reads_what_is_no_number_to_json() {
        assert!(float("nan").is_some_and(f64::is_nan));
        assert!(float("-nan").is_some_and(f64::is_nan));
        assert_eq!(
            (float("inf"), float("-Infinity")),
            (Some(f64::INFINITY), Some(f64::NEG_INFINITY))
        );
        assert_eq!((integer(" 42 "), integer("2.0"), integer("")), (Some(42), None, None));
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
    }
}
