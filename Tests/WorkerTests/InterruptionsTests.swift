import Claiming
import Testing

@Suite struct InterruptionsTests {
    @Test func `while nothing is read no page is to blame for minutes`() {
        var interruptions = Interruptions()
        for _ in 1...9 {
            for page in 1...5 {
                let isPages = interruptions.isPages(1, page)
                #expect(!isPages)
            }
        }
        // A page that is all that is left must end some time.
        let isPages = interruptions.isPages(1, 3)
        #expect(isPages)
    }

    @Test func `a page is to blame that is interrupted while others are read`() {
        var interruptions = Interruptions()
        var times = 0
        while times < 10 {
            times += 1
            if interruptions.isPages(1, 3) { break }
            interruptions.succeeded()
        }
        #expect(times == 3)
        let again = interruptions.isPages(1, 3)
        #expect(!again, "its count begins anew")
        let other = interruptions.isPages(2, 3)
        #expect(!other, "it is another document's")
    }

    @Test func `interruptions in a row count once`() {
        var interruptions = Interruptions()
        for _ in 1...3 {
            let isPages = interruptions.isPages(1, 3)
            #expect(!isPages)
        }
        interruptions.succeeded()
        let second = interruptions.isPages(1, 3)
        #expect(!second)
        interruptions.succeeded()
        let third = interruptions.isPages(1, 3)
        #expect(third)
    }
}
