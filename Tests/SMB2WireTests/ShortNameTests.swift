import SMB2Wire
import Testing

/// [MS-FSCC] 2.1.5.2.1.
@Suite struct ShortNameTests {
    @Test(arguments: ["a", "README.TXT", "name1.x", "12345678.abc", "A~1"])
    func namesOfTheForm(_ name: String) {
        #expect(ShortName.own(name) == name.uppercased())
        #expect(ShortName.given(name) == name.uppercased())
    }

    @Test(arguments: [
        "", ".", ".profile", "a.", "123456789", "a.text", "two.dots.x", "a b", "größe", "a+b", "some document.text",
    ])
    func namesOfAnother(_ name: String) throws {
        #expect(ShortName.own(name) == nil)
        guard !name.isEmpty else { return }
        let given = ShortName.given(name)
        #expect(ShortName.own(given) == given)
        #expect(ShortName.mayBeGiven(given))
        // Whatever the case in which it is asked for.
        #expect(ShortName.given(name.uppercased()) == given)
    }

    @Test func theyAreTheSameOnEveryNode() {
        let name = ShortName.given("some document.text")
        #expect(name.hasPrefix("S") && name.hasSuffix(".TEX"))
        let many = Set((0..<10_000).map { ShortName.given("a file of many, number \($0)") })
        #expect(many.count == 10_000)
    }
}
