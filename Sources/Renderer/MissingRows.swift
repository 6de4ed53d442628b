extension PixelBuffer {
    /// Makes white what a damaged picture covers with rows that could not be decoded.
    ///
    /// Decoders fill them with grey or black, which would be read as something. What lies over the picture is left alone, so
    /// nothing is done where text or paths come later. `scale` is pixels a unit of the page.
    func whiten(rowsMissingIn contents: PDFContents, scale: (x: Double, y: Double)) {
        for picture in contents.pictures {
            guard let rows = picture.rows, rows < picture.height, contents.lastCharacter < picture.order,
                contents.lastPath < picture.order, contents.pictures.allSatisfy({ $0.order <= picture.order })
            else { continue }
            let m = picture.matrix
            let determinant = m.a * m.d - m.b * m.c
            guard abs(determinant) > 1e-9 else { continue }
            // Rows count from the top of the picture, where its second coordinate is 1.
            let lost = 1 - Double(rows) / Double(picture.height)
            for y in 0..<height {
                let row = row(y)
                let down = (Double(y) + 0.5) / scale.y - m.y
                for x in 0..<width {
                    let along = (Double(x) + 0.5) / scale.x - m.x
                    let u = (m.d * along - m.c * down) / determinant
                    let v = (m.a * down - m.b * along) / determinant
                    guard u >= 0, u <= 1, v >= 0, v < lost else { continue }
                    row[x * 3] = 255
                    row[x * 3 + 1] = 255
                    row[x * 3 + 2] = 255
                }
            }
        }
    }
}
