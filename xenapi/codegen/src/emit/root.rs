//! `classes/mod.rs`: the modules, and what holds any class.

use std::fmt::Write;

use super::{Context, HEAD, class, doc};
use crate::names;

/// The text of the file.
pub(super) fn file(context: Context<'_>) -> String {
    let (mut modules, mut exports) = (String::new(), String::new());
    let (mut variants, mut decode, mut class_of, mut shared) =
        (String::new(), String::new(), String::new(), String::new());
    for item in &context.model.classes {
        let (module, handle, record) = (
            names::module(&item.name),
            names::handle(&item.name),
            names::record(&item.name),
        );
        let variant = names::pascal(&item.name);
        let _ = writeln!(modules, "pub mod {module};");
        let mut names = Vec::new();
        if class::has_handle(item) {
            names.push(handle.clone());
        }
        if class::has_record(item) {
            names.push(record.clone());
        }
        if class::has_collection(item) {
            names.push(names::collection(&item.name));
        }
        let _ = writeln!(exports, "pub use self::{module}::{{{}}};", names.join(", "));
        if class::has_handle(item) {
            variants.push_str(&doc(&format!("The record of a `{}`.", item.name)));
            let _ = writeln!(variants, "{variant}(Arc<{record}>),");
            let _ = writeln!(decode, "Class::{variant} => Self::{variant}(from_value(value)?),");
            let _ = writeln!(class_of, "Self::{variant}(_) => Class::{variant},");
            let _ = writeln!(shared, "Self::{variant}(record) => record.clone(),");
        }
    }
    format!(
        "//! The classes of the API, a module each: handle, collection, record, enums.
        //!
        //! {HEAD}
        #![allow(clippy::too_many_arguments)]
        // A link with a path also works in a file that does not import its target.
        #![allow(rustdoc::redundant_explicit_links)]

        {modules}

        {exports}

        use crate::wire::{{self, DecodeError}};
        use crate::{{Record, Value}};
        use std::any::Any;
        use std::sync::Arc;

        #[doc(inline)]
        pub use crate::wire::Class;

        /// The record of an object whose class is known only at run time.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum AnyRecord {{
            {variants}
            /// A record of a class that this crate does not know.
            Other(Class, Value),
        }}

        impl AnyRecord {{
            /// Reads a value as the record of a class.
            ///
            /// # Errors
            /// Where the value is not what the datamodel promises of such a record.
            pub fn decode(class: &Class, value: &Value) -> Result<Self, DecodeError> {{
                Ok(match class {{ {decode} _ => Self::Other(class.clone(), value.clone()) }})
            }}

            /// The class whose record this is.
            pub fn class(&self) -> Class {{ match self {{ {class_of} Self::Other(class, _) => class.clone() }} }}

            /// The record as its own type; `None` where it is of another class.
            pub fn get<R: Record>(&self) -> Option<Arc<R>> {{ self.shared()?.downcast().ok() }}

            pub(crate) fn shared(&self) -> Option<Arc<dyn Any + Send + Sync>> {{
                Some(match self {{ {shared} Self::Other(..) => return None }})
            }}
        }}

        fn from_value<R: Record>(value: &Value) -> Result<Arc<R>, DecodeError> {{ wire::from_value(value).map(Arc::new) }}
        "
    )
}
