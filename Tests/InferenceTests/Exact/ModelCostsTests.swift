import Inference
import Parity
import Testing

@Suite struct ModelCostsTests {
    @Test(arguments: [(512, 268.3), (640, 388.1), (1024, 1140.0), (1280, 1943.2)])
    func `a view costs what the specification says`(side: Int, billions: Double) {
        let costs = ModelCosts(ModelConfiguration())
        #expect(abs(costs.view(side: side) / 1e9 - billions) < 0.06)
    }

    @Test(arguments: [(73, 68), (273, 234), (903, 772), (2773, 2513)])
    func `a prompt costs what the specification says`(imageTokens: Int, billions: Int) {
        let costs = ModelCosts(ModelConfiguration())
        #expect(Int((costs.prefill(tokens: imageTokens + 10) / 1e9).rounded()) == billions)
    }

    @Test(arguments: [(300, 1.17), (1000, 1.21), (8192, 1.65)])
    func `a decoded token costs what the specification says`(context: Int, billions: Double) {
        let costs = ModelCosts(ModelConfiguration())
        #expect(abs(costs.decoding(context: context) / 1e9 - billions) < 0.006)
    }
}
