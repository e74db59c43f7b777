//! What is watched.

use std::collections::BTreeSet;

use crate::wire::Class;

/// The classes to hear of; none means all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    classes: BTreeSet<String>,
    objects: BTreeSet<String>,
}

impl Selection {
    /// Adds a class as a whole.
    pub fn add(&mut self, class: &Class) {
        self.classes.insert(class.event_name());
    }

    /// Adds one object by its reference.
    pub fn add_object(&mut self, class: &Class, reference: &str) {
        self.objects.insert(format!("{}/{reference}", class.event_name()));
    }

    /// As `event.from` wants it.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        if self.classes.is_empty() && self.objects.is_empty() {
            return vec!["*".to_owned()];
        }
        self.classes.iter().chain(&self.objects).cloned().collect()
    }

    /// Whether all objects of a class are heard of, so that they can be counted. Messages are in no table of the
    /// server, and it counts none.
    pub(super) fn is_whole(&self, event_name: &str) -> bool {
        let all = self.classes.is_empty() && self.objects.is_empty();
        (all || self.classes.contains(event_name)) && event_name != "message"
    }

    /// The single objects of a class that are watched, as `event.from` wants them.
    pub(super) fn objects_of(&self, event_name: &str) -> Vec<String> {
        let is_of = |object: &&String| object.split('/').next() == Some(event_name);
        self.objects.iter().filter(is_of).cloned().collect()
    }

    /// Whether all objects of a class are heard of.
    pub fn holds(&self, class: &Class) -> bool {
        let all = self.classes.is_empty() && self.objects.is_empty();
        all || self.classes.contains(&class.event_name())
    }
}
