package import SystemPackage

/// The sound files that are mutated: of each format the kinds of data that decoders treat apart.
package enum MutationSeeds {
    private static let pictures = "Tests/RenderingTests/Fixtures/"
    private static let field = "Tests/PipelineTests/Fixtures/field/variants/"

    /// Below the project's folder.
    package static let names: [String] =
        [
            // PDF: text, scans by codec, object streams, fonts embedded and of Type 3, forms.
            "07-small-page-loses-resolution/sound_scan_150dpi.pdf",
            "02-undecodable-is-blank/sound_scans_of_five_codecs.pdf",
            "03-half-a-picture-is-done/sound_without_the_last_bytes.pdf",
            "04-damaged-font/sound_embedded_fonts.pdf", "04-damaged-font/sound_standard_fonts.pdf",
            "08-coarse-background/stencil_200dpi_over_36dpi.pdf", "08-coarse-background/text_in_form_over_picture.pdf",
            "18-attachments-not-mentioned/sound_empty_list.pdf", "23-page-numbers-shift/sound_nested.pdf",
            "24-count-too-small/sound_count.pdf", "25-type3-glyph-box/sound_boxes.pdf",
            "25-type3-glyph-box/sound_coloured_glyphs.pdf",
            // TIFF of faxes, and several pages.
            "12-damaged-fax-is-done/sound_g3.tif", "12-damaged-fax-is-done/sound_g3_two_dimensions.tif",
            "12-damaged-fax-is-done/sound_packbits.tif", "10-fax-204x98-squashed/sound_200x200.tif",
            "11-tiff-pages-left-out/sound_three_pages.tif", "17-unsupported-called-damaged/sound_lzw.tif",
            "22-16bit-narrow-range-is-blank/sound_all_sixteen_bits.tif",
            // JPEG.
            "03-half-a-picture-is-done/sound_progressive.jpg", "03-half-a-picture-is-done/sound_restart_markers.jpg",
            "13-exif-orientation-long/sound_orientation_6_short.jpg",
            "17-unsupported-called-damaged/sound_four_colours.jpg",
            // PNG.
            "05-transparency-is-blank/sound_opaque_alpha.png",
        ].map { field + $0 }
        + [
            "ycbcr-jpeg.tiff", "rgb16-planar-tiled.tiff", "rgb8-tiled.tiff", "rgb8-planar.tiff", "deflate.tiff",
            "palette8.tiff", "big.tiff", "interlaced.png", "palette8.png", "palette2.png", "rgb16.png", "grey16.png",
            "rgb420.jpg", "rgb422-progressive.jpg", "cmyk.jpg", "grey.jpg",
        ].map { pictures + $0 }

    /// Those of a project's folder that are there, with their bytes.
    package static func files(in project: FilePath) -> [(name: String, bytes: [UInt8])] {
        names.compactMap { name in
            ToolRun.bytes(of: project.appending(name)).map { (name, $0) }
        }
    }
}
