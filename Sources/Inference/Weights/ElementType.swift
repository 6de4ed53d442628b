/// The element types of weights that the engine reads.
package enum ElementType: String, Sendable, CaseIterable {
    case bfloat16 = "BF16"
    case float16 = "F16"
    case float32 = "F32"

    /// Bytes an element.
    package var size: Int { self == .float32 ? 4 : 2 }
}
