//! Sums over the objects that refer to another one, kept up with every write.

use std::collections::HashMap;

use xenapi::Value;

use super::table::Row;
use crate::schema::{ClassInfo, NULL};

/// A field whose values are summed up for each object that another field of the class refers to.
#[derive(Debug)]
struct Sum {
    class: &'static str,
    via: &'static str,
    field: &'static str,
}

const fn sum(class: &'static str, via: &'static str, field: &'static str) -> Sum {
    Sum { class, via, field }
}

/// How many sums there are.
const COUNT: usize = 4;

const SUMS: [Sum; COUNT] = [
    sum("VDI", "SR", "virtual_size"),
    sum("VDI", "SR", "physical_utilisation"),
    sum("VM", "resident_on", "memory_dynamic_max"),
    sum("VM", "resident_on", "memory_overhead"),
];

/// The sums of all classes, by the object that is referred to.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums([HashMap<String, i128>; COUNT]);

impl Sums {
    /// Whether a write of this field changes a sum.
    pub(super) fn depend_on(info: &ClassInfo, field: &str) -> bool {
        let mut sums = SUMS.iter().filter(|sum| sum.class == info.name());
        sums.any(|sum| field == sum.via || field == sum.field)
    }

    pub(super) fn add(&mut self, info: &ClassInfo, row: &Row) {
        self.count(info, row, 1);
    }

    pub(super) fn subtract(&mut self, info: &ClassInfo, row: &Row) {
        self.count(info, row, -1);
    }

    fn count(&mut self, info: &ClassInfo, row: &Row, sign: i128) {
        for (sum, totals) in SUMS.iter().zip(&mut self.0).filter(|(sum, _)| sum.class == info.name()) {
            let value = |name: &str| info.field(name).and_then(|at| row.values.get(at));
            let target = value(sum.via).and_then(Value::as_str).unwrap_or(NULL);
            let number = value(sum.field).and_then(Value::as_int).unwrap_or_default();
            if target == NULL || number == 0 {
                continue;
            }
            let change = sign * i128::from(number);
            match totals.get_mut(target) {
                Some(total) => *total += change,
                None => {
                    totals.insert(target.to_owned(), change);
                }
            }
        }
    }

    pub(super) fn get(&self, class: &str, field: &str, target: &str) -> i64 {
        let at = SUMS.iter().position(|sum| sum.class == class && sum.field == field);
        debug_assert!(at.is_some(), "no sum of {class}.{field}");
        let total = at.and_then(|at| self.0[at].get(target)).copied().unwrap_or_default();
        i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX })
    }

    /// Drops the sums over a class whose rows are gone.
    pub(super) fn clear(&mut self, info: &ClassInfo) {
        for (sum, totals) in SUMS.iter().zip(&mut self.0) {
            if sum.class == info.name() {
                totals.clear();
            }
        }
    }
}
