//! What the description of the API says of bounds: both ways in which they may be written, as `read.rs` takes them.

use std::borrow::Cow;

use boathouse_types::Knob;
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{
            AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema,
            SchemaFormat, Type,
        },
    },
};

use super::{TuneBounds, WrittenBounds};

const BOUNDS: &str = "What a run may try: knobs by their names, or a list of knobs that name themselves. A knob that is left out is as by default. A graph has `m`, `ef_construction` and `ef_search`, a Lance table the others, whose defaults depend on its vectors.";

/// The knobs of a table.
const OF_TABLES: [&str; 4] = ["partitions", "sub_vectors", "nprobes", "refine_factor"];

impl ToSchema for WrittenBounds {
    fn name() -> Cow<'static, str> {
        "TuneBounds".into()
    }
}

impl PartialSchema for WrittenBounds {
    fn schema() -> RefOr<Schema> {
        let mut knobs = TuneBounds::default().knobs();
        let own = knobs.len();
        knobs.extend(OF_TABLES.map(|name| Knob {
            name: name.to_owned(),
            min: 1,
            max: 1,
            step: 1,
        }));
        let named = knobs
            .iter()
            .enumerate()
            .fold(closed(), |object, (at, knob)| {
                let values = json!({"min": knob.min, "max": knob.max, "step": knob.step});
                let default = (at < own).then_some(values);
                object.property(&knob.name, values_of(&knobs).default(default))
            });
        let listed = ArrayBuilder::new().items(values_of(&knobs).required("name"));
        OneOfBuilder::new()
            .item(named)
            .item(listed)
            .description(Some(BOUNDS))
            .into()
    }
}

/// An object with the properties that it names and no others.
fn closed() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// The values of a knob, which may say its name.
fn values_of(knobs: &[Knob]) -> ObjectBuilder {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(knobs.iter().map(|knob| knob.name.clone())))
        .description(Some("Which knob; needed in a list."));
    let step = number("Distance between allowed values, at least 1.")
        .minimum(Some(1_u32))
        .default(Some(json!(1)));
    closed()
        .property("name", name)
        .property("min", number("Least value."))
        .property("max", number("Greatest value, which is allowed too."))
        .property("step", step)
        .required("min")
        .required("max")
}

fn number(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(0_u32))
        .description(Some(description))
}

#[cfg(test)]
mod tests {
    use super::{super::Bounds, *};

    #[test]
    fn the_description_tells_of_both_ways_to_write_bounds() {
        let schema = serde_json::to_value(WrittenBounds::schema()).unwrap();
        let [named, listed] = schema["oneOf"].as_array().unwrap().as_slice() else {
            panic!("{schema}");
        };
        assert_eq!(named["required"], json!(null), "all may be left out");
        assert_eq!(named["additionalProperties"], json!(false));
        let properties = named["properties"].as_object().unwrap();
        let knobs: Vec<_> = properties.keys().map(String::as_str).collect();
        let of_both = [
            "ef_construction",
            "ef_search",
            "m",
            "nprobes",
            "partitions",
            "refine_factor",
            "sub_vectors",
        ];
        assert_eq!(knobs, of_both);
        let own = &properties["ef_search"];
        assert_eq!(own["required"], json!(["min", "max"]));
        assert_eq!(own["default"], json!({"min": 10, "max": 200, "step": 10}));
        assert_eq!(listed["type"], "array");
        let item = &listed["items"];
        assert_eq!(item["required"], json!(["min", "max", "name"]));
        let names = json!([
            "m",
            "ef_construction",
            "ef_search",
            "partitions",
            "sub_vectors",
            "nprobes",
            "refine_factor"
        ]);
        assert_eq!(item["properties"]["name"]["enum"], names);
        assert_eq!(item["properties"]["step"]["default"], json!(1));
        // What is told as the default reads as that.
        let defaults = properties.iter();
        let defaults: serde_json::Map<_, _> = defaults
            .filter(|(_, knob)| !knob["default"].is_null())
            .map(|(name, knob)| (name.clone(), knob["default"].clone()))
            .collect();
        let read: WrittenBounds = serde_json::from_value(defaults.into()).unwrap();
        let space = || Bounds::from(TuneBounds::default());
        assert_eq!(read.within(space()).unwrap(), space());
    }
}
