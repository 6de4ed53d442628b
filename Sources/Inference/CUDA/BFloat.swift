/// bfloat16 on the processor: the upper half of a float.
package enum BFloat {
    /// Rounded to the nearest, halves to the even one.
    package static func bits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
    }

    package static func value(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

    package static func rounded(_ value: Float) -> Float { self.value(bits(value)) }
}
