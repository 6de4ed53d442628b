/// Collects the activations of one pass through the model, for comparing implementations.
///
/// Names and shapes are those of the golden fixtures: `view.sam.block0`, `tiles.projector.out`, `decoder.layer2`, ...
/// A name that comes again (views that are encoded in several batches) is appended along the first dimension.
package final class ActivationTrace {
    /// A tensor of a trace, row-major.
    package struct Activation: Sendable, Equatable {
        package var shape: [Int]
        package var values: [Float]
    }

    package private(set) var activations: [String: Activation] = [:]
    /// The names in the order in which they came.
    package private(set) var names: [String] = []

    package init() {}

    /// Adds one tensor.
    package func record(_ name: String, shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "an activation has as many values as its shape says")
        guard let known = activations[name] else {
            names.append(name)
            activations[name] = Activation(shape: shape, values: values)
            return
        }
        precondition(known.shape.dropFirst() == shape.dropFirst(), "parts of one activation fit each other")
        activations[name]?.shape[0] += shape[0]
        activations[name]?.values += values
    }
}
